#pragma once

#include "exit_code.hpp"

#include <beds/config/settings.hpp>
#include <beds/templates/registry.hpp>

#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace bedsctl {

/// One right that the account of a node needs.
struct grant {
    std::string privileges; ///< `SELECT, INSERT`
    std::string on;         ///< "`shop`.`ms_orders`", "PROCEDURE `shop`.`sp_close`"
    std::string why;        ///< what uses it, for a person

    friend bool operator==(const grant&, const grant&) = default;
};

/// The highest class of operation that is run on a template. Empty: every class.
using class_of_template = std::function<beds::core::op_class(const beds::templates::template_def&)>;

/// The least that a node needs in this MariaDB database to serve these templates with all they
/// offer up to that class. In the order in which a DBA reads it: tables and views, procedures,
/// BEDS's own.
std::vector<grant> grants_of(const beds::templates::registry& of, const std::string& connection,
                             const beds::config::rel_service_settings& service,
                             const class_of_template& highest = {});

/// `'user'@'host'`, safe to stand in a statement.
bool is_account(std::string_view text);

/// As statements, for each MariaDB database of the configuration. `account`: for example
/// `'beds'@'10.0.0.%'`, for all of them; empty: each one's configured user, from everywhere. Throws
/// usage_error for what is no account.
exit_code print_grants(std::ostream& out, const beds::config::settings& settings,
                       const std::string& account);

} // namespace bedsctl
