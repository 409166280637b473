#include "counting.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace throughtime::word2vec {
namespace {

void prune_to(Counted& counted, std::size_t most) {
  while (counted.words.entries().size() > most) {
    ++counted.forgotten;
    counted.words.prune(counted.forgotten + 1);
  }
}

void count_piece(const Text& text, Piece piece, bool pairs, Counted& counted) {
  std::vector<char> pair(read_ahead);  // the word before, and the pair that it makes with the next one
  Index before = -1;
  bool has_words = false;
  const auto word = [&](const char* begin, Index length) {
    counted.words.add(begin, length, 1);
    ++counted.total;
    has_words = true;
    if (!pairs) return;
    if (before >= 0) {
      pair.resize(static_cast<std::size_t>(before + 1 + length + read_ahead));
      pair[static_cast<std::size_t>(before)] = pair_separator;
      std::copy(begin, begin + length, pair.data() + before + 1);
      counted.words.add(pair.data(), before + 1 + length, 1);
    }
    pair.resize(static_cast<std::size_t>(length + read_ahead));
    std::copy(begin, begin + length, pair.data());
    before = length;
  };
  const auto sentence_end = [&] {
    counted.sentences += has_words;
    has_words = false;
    before = -1;
  };
  for_each_word(text, piece, word, sentence_end);
}

}  // namespace

Counted count_words(const Text& text, bool pairs, std::size_t most, int threads) {
  threads = static_cast<int>(std::clamp<Index>(threads, 1, std::max<Index>(text.pieces(), 1)));
  std::vector<Counted> counted(static_cast<std::size_t>(threads));
  std::atomic<Index> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&](Counted& mine) {
    try {
      PieceReader reader(text);
      for (Index number; (number = next++) < text.pieces();) {
        count_piece(text, reader.read(number), pairs, mine);
        prune_to(mine, most / static_cast<std::size_t>(threads));
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      next = text.pieces();
    }
  };
  std::vector<std::thread> others;
  for (std::size_t thread = 1; thread < counted.size(); ++thread) others.emplace_back(work, std::ref(counted[thread]));
  work(counted[0]);
  for (std::thread& other : others) other.join();
  if (failure) std::rethrow_exception(failure);

  Counted& all = counted[0];
  for (std::size_t thread = 1; thread < counted.size(); ++thread) {
    for (const WordTable::Entry& entry : counted[thread].words.entries()) all.words.add(entry.word, entry.length, entry.count);
    all.total += counted[thread].total;
    all.sentences += counted[thread].sentences;
    all.forgotten += counted[thread].forgotten;  // a word may have been forgotten in each of the tables
    counted[thread] = {};
  }
  prune_to(all, most);
  return std::move(all);
}

}  // namespace throughtime::word2vec
