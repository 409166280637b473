#pragma once

#include <nanobind/nanobind.h>

namespace throughtime::word2vec {

void bind(nanobind::module_& module);

}  // namespace throughtime::word2vec
