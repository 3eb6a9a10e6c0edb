#pragma once

#include "arguments.hpp"
#include "exit_code.hpp"
#include "options.hpp"

#include <beds/config/settings.hpp>
#include <beds/core/deadline.hpp>

#include <iosfwd>

namespace bedsctl {

/// Shows what a node would send to the database for an operation that comes alone, and how the
/// server would do it. Does nothing of it. Returns `refused` for an operation that a node would
/// refuse, which it explains on `err`. Throws usage_error for what the command line cannot mean,
/// beds::core::error when the database cannot be reached.
exit_code explain(std::ostream& out, std::ostream& err, const beds::config::settings& settings,
                  const call_arguments& asked, format how, beds::core::deadline until);

} // namespace bedsctl
