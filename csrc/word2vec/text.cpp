#include "text.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace throughtime::word2vec {
namespace {

// A piece is long enough that handing it out costs nothing, and short enough that threads end together.
constexpr std::int64_t shortest_piece = 16 << 10, longest_piece = 256 << 10, pieces_wanted = 1024;
// How far beyond its place a piece's end is looked for: of a sentence, and of a word.
constexpr std::int64_t longest_sentence = 4 << 10, longest_word = 64 << 10;

}  // namespace

Text::Text(std::vector<std::string> paths, Separators separators) : paths_(std::move(paths)), separators_(separators) {
  for (const std::string& path : paths_) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) throw std::runtime_error(path + ": cannot be opened");
    sizes_.push_back(static_cast<std::int64_t>(file.tellg()));
    bytes_ += sizes_.back();
  }
  piece_bytes_ = std::clamp(bytes_ / pieces_wanted, shortest_piece, longest_piece);
  first_of_file_.push_back(0);
  for (const std::int64_t size : sizes_) first_of_file_.push_back(first_of_file_.back() + (size + piece_bytes_ - 1) / piece_bytes_);
  const auto set = [&](const char* characters, Byte kind) {
    for (; *characters; ++characters) kinds_[static_cast<unsigned char>(*characters)] = kind;
  };
  if (separators == Separators::white_space) {
    set(" \t\r\v\f\x1c\x1d\x1e\x1f", Byte::ends_word);
    set("\n", Byte::ends_sentence);
  } else {
    set("\x1f", Byte::ends_word);
    set("\x1e", Byte::ends_sentence);
  }
}

Piece PieceReader::read(Index number) {
  const auto next = std::upper_bound(text_.first_of_file_.begin(), text_.first_of_file_.end(), number);
  const std::size_t file = static_cast<std::size_t>(next - text_.first_of_file_.begin()) - 1;
  if (file != open_) {
    file_.close();
    file_.clear();
    file_.open(text_.paths_[file], std::ios::binary);
    open_ = file;
  }
  // The byte before the piece tells whether it begins between words; what comes after it, where it ends.
  const std::int64_t begin = (number - text_.first_of_file_[file]) * text_.piece_bytes_;
  const std::int64_t from = begin > 0 ? begin - 1 : 0;
  const std::int64_t size = std::min(text_.sizes_[file], begin + text_.piece_bytes_ + longest_word) - from;
  buffer_.resize(static_cast<std::size_t>(size + read_ahead));
  file_.clear();
  file_.seekg(from);
  if (!file_.read(buffer_.data(), size)) throw std::runtime_error(text_.paths_[file] + ": cannot be read; was it changed meanwhile?");

  const char* const data = buffer_.data();
  // The first place from `at` on that lies between sentences, or else between words, or else a word is cut.
  const auto boundary = [&](std::int64_t at) {
    at -= from;
    if (at <= 0) return data;
    for (std::int64_t i = at; i <= std::min(size, at + longest_sentence); ++i)
      if (text_.kind(data[i - 1]) == Byte::ends_sentence) return data + i;
    for (std::int64_t i = at; i <= std::min(size, at + longest_word); ++i)
      if (text_.kind(data[i - 1]) != Byte::of_word) return data + i;
    // Between characters, of which UTF-8 has up to four bytes.
    std::int64_t cut = std::min(size, at + longest_word - 1);
    while (cut > at && cut < size && (static_cast<unsigned char>(data[cut]) & 0xC0) == 0x80) --cut;
    return data + cut;
  };
  const char* const end = begin + text_.piece_bytes_ >= text_.sizes_[file] ? data + size : boundary(begin + text_.piece_bytes_);
  const bool has_mark = begin == 0 && size >= 3 && std::memcmp(data, "\xEF\xBB\xBF", 3) == 0;  // of byte order
  return {std::min(has_mark ? data + 3 : boundary(begin), end), end};
}

}  // namespace throughtime::word2vec
