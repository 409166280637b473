// Compiled once for each instruction set, into a namespace of its own.
#include <algorithm>
#include <exception>
#include <mutex>

#include "../threads.h"
#include "learner.h"

namespace throughtime::INSTRUCTION_SET {

// Threads take piece after piece, so that one beside a busy neighbour takes fewer.
Report train_word_vectors(const Round& round) {
  Report total;
  Counter pieces;
  std::exception_ptr failure;
  std::mutex mutex;
  const Index count = round.last_piece - round.first_piece;
  in_parallel(static_cast<int>(smaller(round.threads, count)), [&](int, int) {
    const FlushDenormals flush;
    Learner learner(round);
    try {
      word2vec::PieceReader reader(*round.text);
      for (Index next; (next = pieces.next()) < count;) {
        const double part = std::min(1.0, (round.done + static_cast<double>(next)) / round.in_all);
        const auto rate = static_cast<float>(round.highest_rate + (round.lowest_rate - round.highest_rate) * part);
        Random of_pieces(round.seed + static_cast<std::uint64_t>(round.first_piece + next));
        learner.learn(reader.read(round.first_piece + next), Random(of_pieces.next()), rate);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      return;
    }
    const std::lock_guard lock(mutex);
    total += learner.report();
  });
  if (failure) std::rethrow_exception(failure);
  return total;
}

}  // namespace throughtime::INSTRUCTION_SET
