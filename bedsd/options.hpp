#pragma once

#include "exit_code.hpp"

#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace bedsd {

enum class task {
    run,
    check,       ///< `--check`: say what is wrong with configuration and templates, and end
    print_config ///< `--print-config`: show the effective configuration, and end
};

struct options {
    std::filesystem::path config;
    std::optional<std::filesystem::path> overlay = {};
    std::vector<std::string> overrides = {};
    bedsd::task task = task::run;
};

/// The command line's meaning, or the code to end with at once: after `--help` and `--version`
/// (printed to `out`) and after a mistake (explained on `err`).
std::variant<options, exit_code> parse_options(int argc, const char* const* argv, std::ostream& out,
                                               std::ostream& err);

} // namespace bedsd
