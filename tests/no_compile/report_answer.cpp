// SPDX-License-Identifier: MIT
// A report that answers with a bool.
// Message: a report returns nothing, or ristretto::Proceed::yes or no
#include <vector>

#include <ristretto/search.hpp>

namespace rt = ristretto;

#if defined(MISUSE)
using Answer = bool;
#else
using Answer = rt::Proceed;
#endif

rt::SearchResult<int> found(const std::vector<rt::Part<int>>& parts) {
  return rt::search(
      parts, [](const rt::Assignment<int>&) { return 1.0; }, 0, [](const rt::Trial<int>&) { return Answer{}; });
}
