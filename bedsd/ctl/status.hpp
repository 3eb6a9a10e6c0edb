#pragma once

#include "exit_code.hpp"
#include "options.hpp"

#include <chrono>
#include <iosfwd>
#include <string>
#include <string_view>

namespace bedsctl {

/// Where the node's admin pages are: `--admin`, the configuration's `admin.listen`, or
/// 127.0.0.1:9464. Throws usage_error when that is no address with a port, and when the
/// configuration serves no pages.
std::string admin_address(const options& given);

/// The page `/status` of that address. Throws core::error (`unreachable`, `protocol`).
std::string fetch_status(const std::string& address, std::chrono::milliseconds longest);

/// What the page says, for people; `ok` when the node is ready, `refused` when not, `unknown` when
/// it is not the page of a node.
exit_code print_status(std::ostream& out, std::string_view page, format how);

} // namespace bedsctl
