// SPDX-License-Identifier: MIT
// Progress: how far a long run is, how fast, and when it ends. For people, so on stderr; always without colour.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace cnn {

/// "3:05", "1:00:00"
inline std::string clock_text(double seconds) {
  const auto s = static_cast<long long>(std::clamp(seconds, 0.0, 1e9) + 0.5);
  char text[32];
  if (s >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", s / 60, s % 60);
  }
  return text;
}

/// "train  61%  6100/10000 img  1240 img/s  ETA 0:03"; when done, the time it took instead of the ETA.
inline std::string progress_text(std::string_view title, std::string_view unit, long long done, long long total,
                                 double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  char text[160];
  std::snprintf(text, sizeof text, "%.*s  %3lld%%  %lld/%lld %.*s  %.*f %.*s/s  ", static_cast<int>(title.size()),
                title.data(), total > 0 ? done * 100 / total : 100, done, total, static_cast<int>(unit.size()),
                unit.data(), rate < 10 ? 2 : 0, rate, static_cast<int>(unit.size()), unit.data());
  if (done >= total) return text + clock_text(seconds);
  return text + ("ETA " + (rate > 0 ? clock_text(static_cast<double>(total - done) / rate) : "?"));
}

/// Draws progress_text over one line on a terminal, at most ten times a second; elsewhere, and on a terminal called
/// "dumb", prints a line per tenth of the way.
class Progress {
 public:
  Progress(std::string title, long long total, std::string unit = "img", std::FILE* out = stderr)
      : title_(std::move(title)), unit_(std::move(unit)), total_(total), out_(out), redraws_(is_terminal(out)) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (redraws_ && drawn_ && !finished_) std::fputc('\n', out_);
  }

  /// Says that `done` of the total are done.
  void at(long long done) {
    if (finished_) return;
    const auto now = Clock::now();
    const long long tenth = total_ > 0 ? done * 10 / total_ : 10;
    finished_ = done >= total_;
    const bool due = redraws_ ? now - last_draw_ >= std::chrono::milliseconds(100) : tenth > last_tenth_;
    if (!due && !finished_) return;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const std::string text = progress_text(title_, unit_, done, total_, seconds);
    std::fprintf(out_, redraws_ ? "\r%s\x1b[K%s" : "%s%s", text.c_str(), finished_ || !redraws_ ? "\n" : "");
    std::fflush(out_);
    last_draw_ = now;
    last_tenth_ = tenth;
    drawn_ = true;
  }

  /// Takes the line away until the next one is drawn, so that other text can stand there.
  void clear() {
    if (!redraws_ || !drawn_ || finished_) return;
    std::fputs("\r\x1b[K", out_);
    std::fflush(out_);
    drawn_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;

  static bool is_terminal([[maybe_unused]] std::FILE* file) {
    const char* terminal = std::getenv("TERM");
    if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
#if __has_include(<unistd.h>)
    return isatty(fileno(file)) == 1;
#else
    return false;
#endif
  }

  std::string title_, unit_;
  long long total_;
  std::FILE* out_;
  bool redraws_, drawn_ = false, finished_ = false;
  long long last_tenth_ = 0;
  Clock::time_point start_ = Clock::now(), last_draw_{};
};

}  // namespace cnn
