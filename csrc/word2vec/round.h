// What one call of training is told, and what it tells.
#pragma once

#include "lexicon.h"
#include "text.h"

namespace throughtime::word2vec {

// Rows of `stride` floats, aligned to a cache line; those beyond `size` are zero and stay so.
struct Matrix {
  float* rows;
  Index size, stride;
  float* row(std::int32_t number) const { return rows + number * stride; }
};

enum class Architecture { skip_gram, continuous_bag_of_words };

struct Round {
  const Text* text;
  const Lexicon* lexicon;
  Matrix input;   // the word vectors
  Matrix output;  // of each word for negative sampling, of each inner node for hierarchical softmax
  Architecture architecture;
  Index window;         // words on either side at most
  bool dynamic_window;  // whether the reach is drawn from 1 .. window for each word, else it is the window
  Index negatives;      // 0: hierarchical softmax
  Index first_piece, last_piece;
  // The learning rate falls evenly with the pieces from `highest_rate` to `lowest_rate`; `done` of `in_all` pieces have
  // been learned before this call, all epochs taken together.
  double highest_rate, lowest_rate, done, in_all;
  std::uint64_t seed;  // of this epoch
  int threads;
};

struct Report {
  std::uint64_t words = 0;   // in the pieces, those that are passed over or not in the vocabulary included
  std::uint64_t losses = 0;  // predictions whose loss was taken, and their sum
  double loss = 0;

  Report& operator+=(const Report& other) {
    words += other.words;
    losses += other.losses;
    loss += other.loss;
    return *this;
  }
};

}  // namespace throughtime::word2vec
