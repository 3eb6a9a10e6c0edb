#pragma once

#include <beds/config/settings.hpp>
#include <beds/observe/log.hpp>

#include <string>
#include <vector>

namespace bedsd {

/// The daemon's log by its configuration. `console` writes lines to standard error; `journald`
/// sends structured entries with MESSAGE, PRIORITY, BEDS_ID and BEDS_SOURCE. Where there is no
/// journal, or this build has no libsystemd, the console is used and the first line says so.
beds::observe::log_sink make_log(const beds::config::log_settings& settings);

/// `NAME=value` of each field of the journal's entry. Bytes that are no UTF-8 are escaped.
std::vector<std::string> journal_fields(const beds::observe::log_record& record);

/// `id source: text`, with control characters and bytes that are no UTF-8 escaped, so that text of
/// a server cannot forge a line.
std::string console_line(const beds::observe::log_record& record);

} // namespace bedsd
