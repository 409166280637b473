// Learns word vectors from pieces of a text: one learner a thread, all on the same matrices without locks (Recht et al.
// 2011, "Hogwild!"): two threads that move one vector at the same time may lose a part of one move.
#pragma once

#include <algorithm>
#include <cmath>

#include "logistic_regression.h"
#include "round.h"

namespace throughtime::INSTRUCTION_SET {

using word2vec::Architecture;
using word2vec::Matrix;
using word2vec::Piece;
using word2vec::Random;
using word2vec::Report;
using word2vec::Round;

ALWAYS_INLINE void prefetch_row(const float* row, Index size) {
  for (Index at = 0; at < size; at += 16) __builtin_prefetch(row + at, 1);
}

// The vectors that inputs are told from: a word (label 1) and words of noise (label 0), or the nodes on the way to a word.
struct Outputs {
  std::vector<std::int32_t> numbers;
  std::vector<std::uint8_t> labels;

  void clear() {
    numbers.clear();
    labels.clear();
  }
  void add(std::int32_t number, bool label) {
    numbers.push_back(number);
    labels.push_back(label);
  }
};

class Learner {
 public:
  explicit Learner(const Round& round) : round_(round), words_(*round.lexicon) {
    const Index inputs = larger(2 * round.window, round.sharing);
    rows_.resize(static_cast<std::size_t>(inputs));
    products_.resize(static_cast<std::size_t>(room_for_products(inputs)));
    bags_.resize(static_cast<std::size_t>(2 * round.sharing * round.input.stride));
  }

  void learn(Piece piece, Random random, float rate) {
    random_ = random;
    rate_ = rate;
    sentence_.clear();
    const auto word = [&](const char* begin, Index length) {
      ++report_.words;
      const std::int32_t number = words_.table.find(begin, length);
      if (number < 0) return;
      const std::uint32_t keep = words_.keep[static_cast<std::size_t>(number)];
      if (keep == 0xFFFFFFFF || random_.next32() <= keep) sentence_.push_back(number);
    };
    const auto sentence_end = [&] {
      if (sentence_.size() > 1) round_.architecture == Architecture::skip_gram ? skip_gram() : bags_of_words();
      sentence_.clear();
    };
    for_each_word(*round_.text, piece, word, sentence_end);
  }

  const Report& report() const { return report_; }

 private:
  // Words around the one at `place`: from first up to last, itself among them.
  struct Context {
    Index first, last;
  };

  Context draw_context(Index place) {
    Index reach = round_.window;
    if (round_.dynamic_window) reach -= random_.below(static_cast<std::uint32_t>(round_.window));
    return {larger(place - reach, 0), smaller(place + reach + 1, static_cast<Index>(sentence_.size()))};
  }

  void draw_noise(Outputs& outputs, std::int32_t but) {
    for (Index i = 0; i < round_.negatives; ++i) {
      const auto number = static_cast<std::int32_t>(words_.noise.draw(random_));
      if (number != but) outputs.add(number, false);
    }
  }

  void add_outputs(Outputs& outputs, std::int32_t word) {
    if (round_.negatives > 0) {
      outputs.add(word, true);
      draw_noise(outputs, word);
      return;
    }
    const auto path = words_.tree.path(word);
    for (Index i = 0; i < path.length; ++i) outputs.add(path.nodes[i], path.branches[i] == 0);
  }

  void fetch(const Outputs& outputs) const {
    for (const std::int32_t number : outputs.numbers) prefetch_row(round_.output.row(number), round_.output.size);
  }

  // Tell m rows from the outputs. `adjust(first, n, g)` may change the gradients, [row][n], of a tile.
  template <class Adjust>
  void tell(float* const* rows, Index m, const Outputs& outputs, bool counts, const Adjust& adjust) {
    const Index size = static_cast<Index>(outputs.numbers.size());
    float* tile[most_outputs];
    for (Index first = 0; first < size;) {
      // A tile moves each of its vectors once, so one that comes again begins the next tile.
      int n = 0;
      for (; n < most_outputs && first + n < size; ++n) {
        float* const row = round_.output.row(outputs.numbers[static_cast<std::size_t>(first + n)]);
        if (std::find(tile, tile + n, row) != tile + n) break;
        tile[n] = row;
      }
      regress(n, rows, m, tile, round_.input.size, rate_, products_.data(), [&](float* p) {
        const std::uint8_t* const labels = outputs.labels.data() + first;
        if (counts) count_loss(p, labels, m, n);
        for (Index i = 0; i < m * n; ++i) p[i] = -p[i];
        for (int j = 0; j < n; ++j)
          if (labels[j])
            for (Index i = 0; i < m; ++i) p[i * n + j] += 1;
        adjust(first, n, p);
      });
      first += n;
    }
  }

  void count_loss(const float* p, const std::uint8_t* labels, Index m, int n) {
    for (Index i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j) report_.loss -= std::log(std::max(labels[j] ? p[i * n + j] : 1 - p[i * n + j], 1e-7f));
  }

  // The loss is taken of few predictions: logarithms would cost more than learning.
  bool is_counted() { return ++predictions_ % 64 == 0; }

  // Each word of the context tells the word in the middle.
  void skip_gram() {
    const Index size = static_cast<Index>(sentence_.size());
    for (Index i = 0; i < smaller(round_.window + 1, size); ++i) fetch_input(i);
    begin_telling(0, next_context_);
    for (Index place = 0; place < size; ++place) {
      std::swap(outputs_, next_outputs_);
      const Context context = next_context_;
      if (place + 1 < size) {  // what the next word needs is on its way while this one is learned
        begin_telling(place + 1, next_context_);
        if (place + 2 + round_.window < size) fetch_input(place + 2 + round_.window);
      }
      Index m = 0;
      for (Index other = context.first; other < context.last; ++other)
        if (other != place) rows_[static_cast<std::size_t>(m++)] = input_row(other);
      const bool counts = is_counted();
      if (counts) report_.losses += static_cast<std::uint64_t>(m);
      tell(rows_.data(), m, outputs_, counts, [](Index, int, float*) {});
    }
  }

  void begin_telling(Index place, Context& context) {
    context = draw_context(place);
    next_outputs_.clear();
    add_outputs(next_outputs_, sentence_[static_cast<std::size_t>(place)]);
    fetch(next_outputs_);
  }

  float* input_row(Index place) const { return round_.input.row(sentence_[static_cast<std::size_t>(place)]); }
  void fetch_input(Index place) const { prefetch_row(input_row(place), round_.input.size); }

  // The mean of the words of the context tells the word in the middle. Some words that follow each other are told from
  // the same noise, so that its vectors are fetched and moved once for all of them.
  void bags_of_words() {
    const Index size = static_cast<Index>(sentence_.size()), sharing = round_.negatives > 0 ? round_.sharing : 1;
    contexts_.resize(static_cast<std::size_t>(sharing));
    for (Index i = 0; i < smaller(round_.window + sharing, size); ++i) fetch_input(i);
    for (Index first = 0; first < size; first += sharing) {
      const Index bags = smaller(sharing, size - first);
      outputs_.clear();
      if (round_.negatives > 0)
        draw_noise(outputs_, -1);
      else
        add_outputs(outputs_, sentence_[static_cast<std::size_t>(first)]);
      fetch(outputs_);
      for (Index b = 0; b < bags; ++b) {
        if (round_.negatives > 0)
          prefetch_row(round_.output.row(sentence_[static_cast<std::size_t>(first + b)]), round_.output.size);
        if (first + sharing + round_.window + b < size) fetch_input(first + sharing + round_.window + b);
        contexts_[static_cast<std::size_t>(b)] = draw_context(first + b);
        fill_bag(b, first + b);
      }
      tell_bags(first, bags);
      for (Index b = 0; b < bags; ++b) empty_bag(b, first + b);
    }
  }

  void tell_bags(Index first, Index bags) {
    const bool counts = is_counted();
    if (counts) report_.losses += static_cast<std::uint64_t>(bags);
    const std::int32_t* const words = sentence_.data() + first;
    for (Index b = 0; b < bags; ++b) rows_[static_cast<std::size_t>(b)] = bag(b);
    if (round_.negatives == 0) return tell(rows_.data(), bags, outputs_, counts, [](Index, int, float*) {});
    for (Index b = 0; b < bags; ++b) {
      positive_.clear();
      positive_.add(words[b], true);
      tell(rows_.data() + b, 1, positive_, counts, [](Index, int, float*) {});
    }
    // A word is not told from itself.
    tell(rows_.data(), bags, outputs_, counts, [&](Index first_output, int n, float* g) {
      for (Index b = 0; b < bags; ++b)
        for (int j = 0; j < n; ++j)
          if (outputs_.numbers[static_cast<std::size_t>(first_output + j)] == words[b]) g[b * n + j] = 0;
    });
  }

  float* bag(Index b) { return bags_.data() + 2 * b * round_.input.stride; }
  float* bag_before(Index b) { return bag(b) + round_.input.stride; }

  void fill_bag(Index b, Index place) {
    const Context context = contexts_[static_cast<std::size_t>(b)];
    const float share = 1 / static_cast<float>(larger(context.last - context.first - 1, 1));
    for (Index at = 0; at < round_.input.size; at += lanes<float>) {
      Vec<float> sum{};
      for (Index other = context.first; other < context.last; ++other)
        if (other != place) sum += load(input_row(other) + at);
      store(bag(b) + at, sum * share);
      store(bag_before(b) + at, sum * share);
    }
  }

  // As in the authors' program, each word of the context moves by what the mean moved, not by its share of it.
  void empty_bag(Index b, Index place) {
    const Context context = contexts_[static_cast<std::size_t>(b)];
    for (Index at = 0; at < round_.input.size; at += lanes<float>) {
      const Vec<float> change = load(bag(b) + at) - load(bag_before(b) + at);
      for (Index other = context.first; other < context.last; ++other)
        if (other != place) store(input_row(other) + at, load(input_row(other) + at) + change);
    }
  }

  const Round& round_;
  const word2vec::Lexicon& words_;
  Random random_{0};
  float rate_ = 0;
  Report report_;
  std::uint64_t predictions_ = 0;
  std::vector<std::int32_t> sentence_;
  std::vector<float*> rows_;
  std::vector<float> products_;
  Outputs outputs_, next_outputs_, positive_;
  Context next_context_{};
  std::vector<Context> contexts_;
  std::vector<float> bags_;  // two rows each: as they are, and as they were
};

}  // namespace throughtime::INSTRUCTION_SET
