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
    rows_.resize(static_cast<std::size_t>(2 * round.window));
    products_.resize(static_cast<std::size_t>(room_for_products(2 * round.window)));
    bag_.resize(static_cast<std::size_t>(round.input.stride));
    bag_before_ = bag_;
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
      if (sentence_.size() > 1) learn_sentence();
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

  void add_outputs(Outputs& outputs, std::int32_t word) {
    if (round_.negatives > 0) {
      outputs.add(word, true);
      for (Index i = 0; i < round_.negatives; ++i) {
        const auto noise = static_cast<std::int32_t>(words_.noise.draw(random_));
        if (noise != word) outputs.add(noise, false);
      }
      return;
    }
    const auto path = words_.tree.path(word);
    for (Index i = 0; i < path.length; ++i) outputs.add(path.nodes[i], path.branches[i] == 0);
  }

  // Tell m rows from the outputs.
  void tell(float* const* rows, Index m) {
    const bool counts = is_counted();
    if (counts) report_.losses += static_cast<std::uint64_t>(m);
    const Index size = static_cast<Index>(outputs_.numbers.size());
    float* tile[most_outputs];
    for (Index first = 0; first < size;) {
      // A tile moves each of its vectors once, so one that comes again begins the next tile.
      int n = 0;
      for (; n < most_outputs && first + n < size; ++n) {
        float* const row = round_.output.row(outputs_.numbers[static_cast<std::size_t>(first + n)]);
        if (std::find(tile, tile + n, row) != tile + n) break;
        tile[n] = row;
      }
      const std::uint8_t* const labels = outputs_.labels.data() + first;
      regress(n, rows, m, tile, round_.input.size, rate_, products_.data(), [&](float* p) {
        if (counts) count_loss(p, labels, m, n);
        for (Index i = 0; i < m * n; ++i) p[i] = -p[i];
        for (int j = 0; j < n; ++j)
          if (labels[j])
            for (Index i = 0; i < m; ++i) p[i * n + j] += 1;
      });
      first += n;
    }
  }

  // The loss is taken of few predictions: logarithms would cost more than learning.
  bool is_counted() { return ++predictions_ % 64 == 0; }

  void count_loss(const float* p, const std::uint8_t* labels, Index m, int n) {
    for (Index i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j) report_.loss -= std::log(std::max(labels[j] ? p[i * n + j] : 1 - p[i * n + j], 1e-7f));
  }

  void learn_sentence() {
    const Index size = static_cast<Index>(sentence_.size());
    for (Index i = 0; i < smaller(round_.window + 1, size); ++i) fetch_input(i);
    prepare(0);
    for (Index place = 0; place < size; ++place) {
      std::swap(outputs_, next_outputs_);
      const Context context = next_context_;
      if (place + 1 < size) {  // what the next word needs is on its way while this one is learned
        prepare(place + 1);
        if (place + 2 + round_.window < size) fetch_input(place + 2 + round_.window);
      }
      Index m = 0;
      for (Index other = context.first; other < context.last; ++other)
        if (other != place) rows_[static_cast<std::size_t>(m++)] = input_row(other);
      if (round_.architecture == Architecture::skip_gram)
        tell(rows_.data(), m);
      else
        tell_bag(m);
    }
  }

  void prepare(Index place) {
    next_context_ = draw_context(place);
    next_outputs_.clear();
    add_outputs(next_outputs_, sentence_[static_cast<std::size_t>(place)]);
    for (const std::int32_t number : next_outputs_.numbers) prefetch_row(round_.output.row(number), round_.output.size);
  }

  float* input_row(Index place) const { return round_.input.row(sentence_[static_cast<std::size_t>(place)]); }
  void fetch_input(Index place) const { prefetch_row(input_row(place), round_.input.size); }

  // Tell the mean of the m words of the context. As in the authors' program, each of them then moves by what the mean
  // moved, not by its share of it.
  void tell_bag(Index m) {
    const float share = 1 / static_cast<float>(m);
    const Index size = round_.input.size;
    for (Index at = 0; at < size; at += lanes<float>) {
      Vec<float> sum{};
      for (Index i = 0; i < m; ++i) sum += load(rows_[static_cast<std::size_t>(i)] + at);
      store(bag_.data() + at, sum * share);
      store(bag_before_.data() + at, sum * share);
    }
    float* const bag = bag_.data();
    tell(&bag, 1);
    for (Index at = 0; at < size; at += lanes<float>) {
      const Vec<float> change = load(bag_.data() + at) - load(bag_before_.data() + at);
      for (Index i = 0; i < m; ++i) {
        float* const to = rows_[static_cast<std::size_t>(i)] + at;
        store(to, load(to) + change);
      }
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
  Outputs outputs_, next_outputs_;
  Context next_context_{};
  std::vector<float> bag_, bag_before_;
};

}  // namespace throughtime::INSTRUCTION_SET
