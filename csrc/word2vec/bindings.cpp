// The part of the bindings that is for word vectors. Words are bytes; arrays come as addresses, from
// throughtime/word2vec, which owns them and has checked their sizes.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "../kernels.h"
#include "bindings.h"
#include "counting.h"
#include "phrases.h"
#include "round.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace throughtime::word2vec {
namespace {

using Address = std::uintptr_t;

template <class T>
T* pointer(Address address) {
  return reinterpret_cast<T*>(address);
}

WordTable table_of(const nb::list& words) {
  WordTable table;
  std::string word;
  for (const nb::handle item : words) {
    const nb::bytes bytes = nb::cast<nb::bytes>(item);
    word.assign(bytes.c_str(), bytes.size());
    const Index length = static_cast<Index>(word.size());
    word.append(read_ahead, '\0');
    table.add(word.data(), length, 1);
  }
  return table;
}

// The words of at least `least` occurrences, the most frequent first, and of equally frequent ones in order of bytes.
nb::tuple frequent(const Counted& counted, std::uint64_t least) {
  std::vector<const WordTable::Entry*> chosen;
  for (const WordTable::Entry& entry : counted.words.entries())
    if (entry.count >= least) chosen.push_back(&entry);
  std::sort(chosen.begin(), chosen.end(), [](const auto* a, const auto* b) {
    return a->count != b->count ? a->count > b->count : a->text() < b->text();
  });
  nb::list words, counts;
  for (const WordTable::Entry* entry : chosen) {
    words.append(nb::bytes(entry->word, entry->length));
    counts.append(entry->count);
  }
  return nb::make_tuple(words, counts, counted.total, counted.sentences, counted.forgotten);
}

Lexicon make_lexicon(const nb::list& words, Address keep, Address noise, Address counts) {
  Lexicon lexicon;
  lexicon.table = table_of(words);
  const std::size_t size = words.size();
  lexicon.keep.assign(pointer<const std::uint32_t>(keep), pointer<const std::uint32_t>(keep) + size);
  if (noise)
    lexicon.noise = AliasSampler({pointer<const double>(noise), pointer<const double>(noise) + size});
  else
    lexicon.tree = HuffmanTree({pointer<const std::uint64_t>(counts), pointer<const std::uint64_t>(counts) + size});
  return lexicon;
}

}  // namespace

void bind(nb::module_& module) {
  nb::class_<Text>(module, "Text")
      .def("__init__",
           [](Text* self, std::vector<std::string> paths, bool is_tokens) {
             new (self) Text(std::move(paths), is_tokens ? Separators::control_characters : Separators::white_space);
           }, "paths"_a, "is_tokens"_a)
      .def_prop_ro("pieces", &Text::pieces)
      .def_prop_ro("bytes", &Text::bytes);

  nb::class_<Lexicon>(module, "Lexicon")
      .def("__init__", [](Lexicon* self, const nb::list& words, Address keep, Address noise, Address counts) {
        new (self) Lexicon(make_lexicon(words, keep, noise, counts));
      }, "words"_a, "keep"_a, "noise"_a, "counts"_a)
      .def("path", [](const Lexicon& lexicon, std::int32_t word) {
        const HuffmanTree::Path path = lexicon.tree.path(word);
        nb::list steps;
        for (Index i = 0; i < path.length; ++i) steps.append(nb::make_tuple(path.nodes[i], static_cast<int>(path.branches[i])));
        return steps;
      }, "word"_a, "The inner nodes from the root down to a word, and the branch, 0 or 1, taken at each.");

  module.def("count_words", [](const Text& text, bool pairs, std::uint64_t least, std::size_t most, int threads) {
    Counted counted;
    {
      const nb::gil_scoped_release release;
      counted = count_words(text, pairs, most, threads);
    }
    return frequent(counted, least);
  }, "text"_a, "pairs"_a, "least"_a, "most"_a, "threads"_a);

  module.def("join_pairs", [](const Text& text, const nb::list& pairs, const std::string& joint, const std::string& path) {
    const WordTable table = table_of(pairs);
    const nb::gil_scoped_release release;
    return join_pairs(text, table, joint, path);
  }, "text"_a, "pairs"_a, "joint"_a, "path"_a);

  module.def("train_word_vectors",
             [](const Text& text, const Lexicon& lexicon, Address input, Address output, Index size, Index stride, bool skip_gram,
                Index window, bool dynamic_window, Index negatives, Index first_piece, Index last_piece,
                double highest_rate, double lowest_rate, double done, double in_all, std::uint64_t seed, int threads) {
               const Round round{&text, &lexicon, {pointer<float>(input), size, stride}, {pointer<float>(output), size, stride},
                                 skip_gram ? Architecture::skip_gram : Architecture::continuous_bag_of_words,
                                 window, dynamic_window, negatives, first_piece, last_piece, highest_rate, lowest_rate,
                                 done, in_all, seed, threads};
               const nb::gil_scoped_release release;
               const Report report = kernels().train_word_vectors(round);
               return std::tuple(report.words, report.losses, report.loss);
             },
             "text"_a, "lexicon"_a, nb::kw_only(), "input"_a, "output"_a, "size"_a, "stride"_a, "skip_gram"_a, "window"_a,
             "dynamic_window"_a, "negatives"_a, "first_piece"_a, "last_piece"_a, "highest_rate"_a, "lowest_rate"_a, "done"_a,
             "in_all"_a, "seed"_a, "threads"_a);
}

}  // namespace throughtime::word2vec
