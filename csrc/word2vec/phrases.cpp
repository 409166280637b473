#include "phrases.h"

#include <algorithm>
#include <stdexcept>

#include "counting.h"

namespace throughtime::word2vec {

std::uint64_t join_pairs(const Text& text, const WordTable& pairs, const std::string& joint, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  std::string out, before, pair;
  std::uint64_t joined = 0;
  bool has_words = false;  // of the sentence
  const auto write = [&](const std::string& word) {
    if (word.empty()) return;
    if (has_words) out += text.word_end();
    out += word;
    has_words = true;
  };
  const auto word = [&](const char* begin, Index length) {
    if (!before.empty()) {
      pair.assign(before).append(1, pair_separator).append(begin, static_cast<std::size_t>(length));
      const Index size = static_cast<Index>(pair.size());
      pair.append(read_ahead, '\0');
      if (pairs.find(pair.data(), size) >= 0) {
        ++joined;
        write(before.append(joint).append(begin, static_cast<std::size_t>(length)));
        before.clear();
        return;
      }
      write(before);
    }
    before.assign(begin, static_cast<std::size_t>(length));
  };
  const auto sentence_end = [&] {
    write(before);
    before.clear();
    if (has_words) out += text.sentence_end();
    has_words = false;
  };
  PieceReader reader(text);
  for (Index number = 0; number < text.pieces(); ++number) {
    for_each_word(text, reader.read(number), word, sentence_end);
    file.write(out.data(), static_cast<std::streamsize>(out.size()));
    out.clear();
  }
  file.close();
  if (!file) throw std::runtime_error(path + ": cannot be written; is the disk full?");
  return joined;
}

}  // namespace throughtime::word2vec
