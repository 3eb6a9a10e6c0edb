#pragma once

#include "exit_code.hpp"
#include "records.hpp"

#include <beds/client/client.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace bedsctl {

struct import_options {
    std::string template_name = {};
    std::string input = {};   ///< `-` is standard input
    std::string account = {}; ///< as whom: the inbox knows rows again by account and id
    std::optional<row_format> format = {};
    std::vector<std::string> columns = {}; ///< of a CSV without header
    std::vector<std::string> ignored = {};
    std::string null_text = {};
    std::size_t batch = 200;                ///< rows in a message
    std::size_t window = 8;                 ///< messages on the way
    std::optional<std::uint64_t> rate = {}; ///< rows a second
    std::string job = {};                   ///< empty: made from the content
    std::string state = {};                 ///< empty: beside the file
    std::string rejects = {};               ///< empty: beside the file
    std::optional<std::uint64_t> max_rejects = {};
    std::chrono::milliseconds timeout{30'000};      ///< of a message
    std::chrono::milliseconds patience{5 * 60'000}; ///< without any answer for good
    std::chrono::milliseconds first_pause{400};     ///< before a row is sent again; then doubled
    std::chrono::seconds inbox_window{24 * 3'600};  ///< so long rows are known again
    bool dry_run = false;
    bool restart = false;
    bool may_happen_twice = false;
    bool quiet = false;
};

/// Inserts the rows of a file. Progress and what happened go to `err`. When `stopped` turns true
/// nothing more is sent, and what is on the way is waited for. Returns `refused` when some rows
/// were, `unknown` when it ended before the file did. Throws usage_error, before anything is sent.
exit_code run_import(beds::client::client& through, const import_options& asked, std::ostream& err,
                     bool terminal, const std::function<bool()>& stopped);

/// `people.csv` to `people.rejects.csv`, and that to `people.rejects.2.csv`.
std::string rejects_beside(const std::string& input);

/// The first line of a file of refused rows.
std::string reject_header(const std::vector<std::string>& columns);
/// A line of it: the record as it was, and why it was refused.
std::string reject_line(row_format format, std::string_view raw,
                        const std::vector<std::string>& columns, std::uint64_t line,
                        std::string_view code, std::string_view field, std::string_view detail);

} // namespace bedsctl
