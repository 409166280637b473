// Phrases: neighbours that belong together become one word. Mikolov et al. (2013), https://arxiv.org/abs/1310.4546, section 4.
#pragma once

#include <string>

#include "hashing.h"
#include "text.h"

namespace throughtime::word2vec {

// Write the text to a file with `joint` between the words of each pair that `pairs` holds (with `pair_separator` between
// them), from left to right; returns how many were joined. Throws std::runtime_error where the file can't be written.
std::uint64_t join_pairs(const Text& text, const WordTable& pairs, const std::string& joint, const std::string& path);

}  // namespace throughtime::word2vec
