// SPDX-License-Identifier: MIT
// Searching, then repairing.
#include "quantizer/quantize.hpp"

#include <utility>

#include "quantizer/interruption.hpp"

namespace quantizer {
namespace {

/// Without a search: float, and the widths that are given.
Found try_bits(const Options& o, Session& session) {
  Found found;
  found.stopped = thrown_by([&] {
    const Widths widths{o.bits[0], o.bits[1], o.bits[2]};
    auto of_layers = widths_of_layers(session.layers(), widths);
    if (o.ends) of_layers.front().weights = of_layers.back().weights = o.ends;
    session.score_float();
    const Hits& hits = session.score(of_layers, "  " + to_string(widths));
    session.say(to_string(widths), hits);
    found.chosen = session.chosen(of_layers, hits, widths);
    found.alone = found.chosen->row;
    found.trials.push_back(found.chosen->row);
  });
  return found;
}

Found search(const Options& o, Session& session) {
  if (!o.bits.empty()) return try_bits(o, session);
  return o.by_layer ? search_layers(o, session) : search_parts(o, session);
}

}  // namespace

Results quantize(cnn::Model& model, const Pictures& pictures, const Options& options) {
  Session session(model, pictures, options);
  Found found = search(options, session);
  const bool complete = !found.stopped;
  std::vector<RepairRow> repairs;
  if (complete) {
    Repaired repaired = session.repaired(std::move(*found.chosen));
    found.chosen = std::move(repaired.best);
    found.stopped = repaired.stopped;
    repairs = std::move(repaired.rows);
  }
  Results results = session.results(std::move(found));
  results.complete = complete;
  results.repairs = std::move(repairs);
  return results;
}

}  // namespace quantizer
