// A text that lies in files, read in pieces by any number of threads. A piece is read into memory whole; where pieces
// begin depends on the text alone, so that everything that follows from it is the same for any number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "../index.h"

namespace throughtime::word2vec {

// What a byte is to the reader.
enum class Byte : std::uint8_t { of_word, ends_word, ends_sentence };

// White space separates words, and a line is a sentence; or control characters do, so that words may hold white space.
enum class Separators { white_space, control_characters };

class Text {
 public:
  // Throws std::runtime_error where a file can't be opened.
  Text(std::vector<std::string> paths, Separators separators);

  Index pieces() const { return static_cast<Index>(first_of_file_.back()); }
  std::int64_t bytes() const { return bytes_; }
  Byte kind(char c) const { return kinds_[static_cast<unsigned char>(c)]; }
  char word_end() const { return separators_ == Separators::white_space ? ' ' : '\x1f'; }
  char sentence_end() const { return separators_ == Separators::white_space ? '\n' : '\x1e'; }

 private:
  friend class PieceReader;
  std::vector<std::string> paths_;
  Separators separators_;
  std::vector<std::int64_t> sizes_;
  std::vector<std::int64_t> first_of_file_;  // the number of each file's first piece, and that of all pieces
  std::int64_t bytes_ = 0;
  std::int64_t piece_bytes_;
  std::array<Byte, 256> kinds_{};
};

// Bytes that may be read beyond the end of a piece.
inline constexpr Index read_ahead = 32;

struct Piece {
  const char* begin;
  const char* end;
};

// Reads pieces; each thread has its own.
class PieceReader {
 public:
  explicit PieceReader(const Text& text) : text_(text) {}

  // The piece of this number, until the next call. Begins and ends between sentences, where they are no longer than
  // a few thousand bytes, else between words. Throws std::runtime_error where the file can't be read.
  Piece read(Index number);

 private:
  const Text& text_;
  std::ifstream file_;
  std::size_t open_ = static_cast<std::size_t>(-1);
  std::vector<char> buffer_;
};

// Calls word(begin, length) for each word and sentence_end() after each sentence of a piece.
template <class Word, class SentenceEnd>
void for_each_word(const Text& text, Piece piece, const Word& word, const SentenceEnd& sentence_end) {
  const char* at = piece.begin;
  while (at < piece.end) {
    Byte kind;
    while (at < piece.end && (kind = text.kind(*at)) != Byte::of_word) {
      if (kind == Byte::ends_sentence) sentence_end();
      ++at;
    }
    const char* const begin = at;
    while (at < piece.end && text.kind(*at) == Byte::of_word) ++at;
    if (at > begin) word(begin, at - begin);
  }
  sentence_end();
}

}  // namespace throughtime::word2vec
