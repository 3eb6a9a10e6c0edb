#pragma once

#include "options.hpp"

#include <beds/config/load.hpp>
#include <beds/observe/log.hpp>

namespace bedsd {

beds::config::load_result load(const options& options);

/// A reload is one of templates alone. Who expects more of it is told: the files are read again and
/// compared with what runs.
void compare_configuration(const options& options, const beds::config::settings& running,
                           const beds::observe::log_sink& log);

} // namespace bedsd
