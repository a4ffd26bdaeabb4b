// SPDX-License-Identifier: MIT
// The commands of the tool, and its version.
#include "tool/app.hpp"

#include <fmt/format.h>
#include <xsimd/xsimd.hpp>

#include <ristretto/config.hpp>

#include "tool/inspect.hpp"
#include "tool/quantize.hpp"
#include "tool/score.hpp"
#include "tool/train.hpp"

namespace tool {

CommandLine::CommandLine() {
  app.name("ristretto");
  app.require_subcommand(1);
  app.set_version_flag("--version", version());
  commands = {{"quantize", add_quantize(app)},
              {"test", add_test(app)},
              {"train", add_train(app)},
              {"inspect", add_inspect(app)}};
}

std::string version() {
#if defined(XSIMD_NO_SUPPORTED_ARCHITECTURE)
  const std::string arch = "no SIMD";
#else
  const std::string arch = xsimd::default_arch::name();
#endif
  return fmt::format("ristretto {}.{}.{} ({}, Eigen {}, xsimd {}.{}.{})", RISTRETTO_VERSION_MAJOR,
                     RISTRETTO_VERSION_MINOR, RISTRETTO_VERSION_PATCH, arch, RISTRETTO_EIGEN_VERSION,
                     XSIMD_VERSION_MAJOR, XSIMD_VERSION_MINOR, XSIMD_VERSION_PATCH);
}

}  // namespace tool
