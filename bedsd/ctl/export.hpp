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

struct export_options {
    std::string template_name = {};
    std::string output = "-"; ///< `-` is standard output
    std::optional<row_format> format = {};
    std::vector<std::string> fields = {}; ///< empty: all
    std::vector<std::string> where = {};  ///< as `call` takes it
    std::string null_text = {};
    std::optional<std::uint64_t> limit = {};
    std::optional<std::uint32_t> page =
        {}; ///< rows in a reply; nothing: as many as the template says
    std::chrono::milliseconds timeout{30'000};      ///< of a page
    std::chrono::milliseconds patience{5 * 60'000}; ///< without any page
    bool restart = false;                           ///< from the first row, whatever was noted
    bool goes_on = true; ///< cursors outlive this process: not those of one that asks itself
    bool quiet = false;
};

/// Writes the rows of a template in the order of its key. A file is there when it is complete;
/// until then FILE.partial and FILE.beds-export are, with which the same call goes on. Returns
/// `refused` when the service refused to, `unknown` when it ended before the rows did. Throws
/// usage_error, before any row is asked for.
exit_code run_export(beds::client::client& through, const export_options& asked, std::ostream& out,
                     std::ostream& err, bool terminal, const std::function<bool()>& stopped);

} // namespace bedsctl
