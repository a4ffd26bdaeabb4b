// SPDX-License-Identifier: MIT
// Writes the man page of the tool and its completions for bash and zsh, from its options, into the folder named.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "tool/app.hpp"
#include "tool/common.hpp"

namespace {

/// What a page says of an option.
struct Option {
  std::string name{};                  // "--model"
  std::string description{}, value{};  // value: "TEXT", "INT"; empty for a flag
  std::string limits{};                // "INT in [1 - 32]"; empty: none
  std::vector<std::string> words{};    // the values that it knows; empty: any
  std::vector<std::string> excludes{}, needs{};
  bool required = false, list = false;

  bool takes_file() const { return value == "TEXT" && words.empty(); }
};

struct Command {
  std::string name{}, description{};
  std::vector<Option> options{};
};

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : std::string(between)) + word;
  return text;
}

/// The text with `before` and `after` around each of the characters.
std::string escaped(std::string_view text, std::string_view characters, std::string_view before,
                    std::string_view after = "") {
  std::string result;
  for (const char c : text) {
    const bool escape = characters.find(c) != std::string_view::npos;
    if (escape) result += before;
    result += c;
    if (escape) result += after;
  }
  return result;
}

template <class Options>
std::vector<std::string> names_of(const Options& options) {
  std::vector<std::string> names;
  for (const CLI::Option* option : options) names.push_back(option->get_name());
  std::sort(names.begin(), names.end());
  return names;
}

Option read(const CLI::Option& of) {
  Option option{.name = "--" + of.get_lnames().at(0), .description = of.get_description()};
  option.excludes = names_of(of.get_excludes());
  option.needs = names_of(of.get_needs());
  option.required = of.get_required();
  option.list = of.get_delimiter() == ',';
  if (of.get_items_expected_max() == 0) return option;
  const std::string type = of.get_type_name();  // "TEXT:{all,none}", "INT:INT in [1 - 32]"
  const std::size_t colon = std::min(type.find(':'), type.size());
  option.value = type.substr(0, colon);
  option.limits = type.substr(std::min(colon + 1, type.size()));
  if (option.limits.starts_with('{')) {
    option.words = split(std::string_view(option.limits).substr(1, option.limits.size() - 2), ',');
    option.limits.clear();
  }
  return option;
}

std::vector<Command> commands_of(const CLI::App& app) {
  std::vector<Command> commands;
  for (const CLI::App* command : app.get_subcommands({})) {
    commands.push_back({.name = command->get_name(), .description = command->get_description()});
    for (const CLI::Option* option : command->get_options()) commands.back().options.push_back(read(*option));
  }
  return commands;
}

// ---- man ----

std::string roff(std::string_view text) { return escaped(escaped(text, "\\", "", "e"), "-", "\\"); }

std::string man_option(const Option& o) {
  std::string text = fmt::format(".TP\n.B {}", roff(o.name));
  if (!o.value.empty()) text = fmt::format(".TP\n.BI {}= {}{}", roff(o.name), o.value, o.list ? ",..." : "");
  text += fmt::format("\n{}", roff(o.description));
  if (!o.words.empty()) text += fmt::format("\n.br\nOne of {}", roff(joined(o.words, ", ")));
  if (!o.words.empty() && o.list) text += ", or several with commas between";
  if (!o.limits.empty()) text += fmt::format("\n.br\n{}", roff(o.limits));
  if (o.required) text += "\n.br\nRequired";
  if (!o.needs.empty()) text += fmt::format("\n.br\nOnly with {}", roff(joined(o.needs, ", ")));
  if (!o.excludes.empty()) text += fmt::format("\n.br\nNot with {}", roff(joined(o.excludes, ", ")));
  return text + "\n";
}

std::string man_synopsis(const Command& command) {
  std::string text = fmt::format(".B ristretto {}\n", command.name);
  for (const Option& o : command.options) {
    if (o.required) text += fmt::format(".BI {}= {}\n", roff(o.name), o.value);
  }
  return text + ".RI [ option ...]\n.br\n";
}

std::string man_page(const std::string& description, const std::vector<Command>& commands) {
  const std::string version = tool::version();
  std::string text =
      fmt::format(".TH RISTRETTO 1 \"\" \"{}\" \"User Commands\"\n", roff(version.substr(0, version.find(" ("))));
  text += ".SH NAME\nristretto \\- trims convolutional networks to few bits\n.SH SYNOPSIS\n";
  for (const Command& command : commands) text += man_synopsis(command);
  text += ".B ristretto\n.RB [ \\-\\-help | \\-\\-version ]\n";
  text += fmt::format(".SH DESCRIPTION\n{}\n.PP\n", roff(description));
  text +=
      "Nets are described as Caffe describes them. A net is simulated with the numbers that hardware of few bits\n"
      "would have; results do not depend on the number of threads.\n";
  for (const Command& command : commands) {
    std::string title = command.name;
    std::transform(title.begin(), title.end(), title.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    text += fmt::format(".SH {}\n.B ristretto {}\n{}.\n", title, command.name, roff(command.description));
    for (const Option& o : command.options) text += man_option(o);
  }
  text += fmt::format(
      ".SH EXIT STATUS\n.TP\n.B 0\nsuccess\n.TP\n.B {}\na file or a net could not be used; stderr says which, and "
      "why\n.TP\n.B {}\nwrong options\n.TP\n.B {}\nquantize: no widths keep the error margin; the files are written "
      "all the same\n.TP\n.B {}\ninterrupted\n",
      tool::failed, tool::usage, tool::margin_missed, tool::interrupted_code);
  text +=
      ".SH ENVIRONMENT\n.TP\n.B TERM\nprogress is drawn on one line of a terminal, unless this is empty or dumb\n"
      ".SH FILES\n.TP\n.I *.prototxt\ndescriptions of nets and solvers, as text\n.TP\n.I *.caffemodel\nweights\n"
      ".TP\n.I *.solverstate\nstates of a training, to go on from\n.SH SEE ALSO\n"
      "The sources' docs/migrating.md has the commands of Ristretto's guide beside these.\n";
  return text;
}

// ---- bash ----

/// The words of an option's case in bash: what it completes to.
std::string bash_values(const Option& o) {
  if (o.takes_file()) return "files=1";
  if (o.words.empty()) return "return";
  return fmt::format("words='{}'{}", joined(o.words, " "), o.list ? " before=${cur%\"${cur##*,}\"}" : "");
}

std::string bash(const std::vector<Command>& commands) {
  std::string names, values, options;
  for (const Command& command : commands) {
    names += command.name + " ";
    options += fmt::format("        {}) words='", command.name);
    for (const Option& o : command.options) {
      options += o.name + (o.value.empty() ? " " : "= ");
      if (!o.value.empty()) values += fmt::format("    '{} {}') {} ;;\n", command.name, o.name, bash_values(o));
    }
    options.back() = '\'';
    options += " ;;\n";
  }
  return fmt::format(R"(# Completes the commands, options and values of ristretto in bash; written from its options.
_ristretto() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} words= before= files=
  # bash splits --option=value into three words
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  COMPREPLY=()
  case "${{COMP_WORDS[1]}} $prev" in
{}    *)
      if ((COMP_CWORD == 1)); then
        words='{}--help --version'
      else
        case ${{COMP_WORDS[1]}} in
{}        esac
      fi ;;
  esac
  if [[ $files ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    compopt -o filenames 2> /dev/null
  else
    mapfile -t COMPREPLY < <(compgen -P "$before" -W "$words" -- "${{cur#"$before"}}")
  fi
  [[ ${{COMPREPLY[0]-}} != --*= ]] || compopt -o nospace 2> /dev/null
}}
complete -F _ristretto ristretto
)",
                     values, names, options);
}

// ---- zsh ----

/// Text in single quotes in the brackets of an option's description.
std::string zsh_text(std::string_view text) { return escaped(escaped(text, "[]:\\", "\\"), "'", "'\\", "'"); }

std::string zsh_option(const Option& o) {
  std::string text = o.excludes.empty() ? "" : fmt::format("({})", joined(o.excludes, " "));
  text += fmt::format("{}{}[{}]", o.name, o.value.empty() ? "" : "=", zsh_text(o.description));
  if (o.value.empty()) return text;
  text += fmt::format(":{}:", o.value);
  if (o.takes_file()) return text + "_files";
  if (o.words.empty()) return text + " ";
  const std::string words = joined(o.words, " ");
  return text + (o.list ? "_sequence compadd - " + words : "(" + words + ")");
}

std::string zsh(const std::vector<Command>& commands) {
  std::string names, options;
  for (const Command& command : commands) {
    names += fmt::format("    '{}:{}'\n", command.name, zsh_text(command.description));
    options += fmt::format("    {})\n      _arguments", command.name);
    for (const Option& o : command.options) options += fmt::format(" \\\n        '{}'", zsh_option(o));
    options += " ;;\n";
  }
  return fmt::format(R"(#compdef ristretto
# Completes the commands, options and values of ristretto in zsh; written from its options.
_ristretto() {{
  local curcontext=$curcontext state line
  local -a commands=(
{}  )
  _arguments -C '(- *)--help[prints the options]' '(- *)--version[prints the version]' '1: :->command' '*:: :->option'
  case $state in
    command) _describe command commands ;;
    option) _ristretto_options ;;
  esac
}}
_ristretto_options() {{
  case $words[1] in
{}  esac
}}
_ristretto "$@"
)",
                     names, options);
}

void write(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw std::runtime_error(path + " cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: write_pages FOLDER\n");
    return tool::usage;
  }
  try {
    const tool::CommandLine line;
    const std::vector<Command> commands = commands_of(line.app);
    const std::string folder = std::string(argv[1]) + "/";
    write(folder + "ristretto.1", man_page(line.app.get_description(), commands));
    write(folder + "ristretto.bash", bash(commands));
    write(folder + "_ristretto", zsh(commands));
  } catch (const std::exception& error) {
    fmt::print(stderr, "write_pages: {}\n", error.what());
    return tool::failed;
  }
}
