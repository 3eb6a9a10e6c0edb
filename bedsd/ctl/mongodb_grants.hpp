#pragma once

#include "exit_code.hpp"
#include "grants.hpp"

#include <beds/config/settings.hpp>
#include <beds/templates/registry.hpp>

#include <iosfwd>
#include <set>
#include <string>
#include <vector>

namespace bedsctl {

/// What the account of a node may do with one collection.
struct mongodb_right {
    std::string collection; ///< empty: the database itself
    std::set<std::string> actions;
    std::vector<std::string> why; ///< what uses it, for a person

    friend bool operator==(const mongodb_right&, const mongodb_right&) = default;
};

/// The least that a node needs in this MongoDB database to serve these templates with all they
/// offer up to that class, as `grants_of` does for MariaDB.
std::vector<mongodb_right> mongodb_rights_of(const beds::templates::registry& of,
                                             const std::string& connection,
                                             const beds::config::rec_service_settings& service,
                                             const class_of_template& highest = {});

/// As a script for mongosh that makes a role `beds_CONNECTION` for each MongoDB database of the
/// configuration, and may run again at any time. `account`: the user who gets it, for all of them;
/// empty: each one's configured user.
exit_code print_mongodb_grants(std::ostream& out, const beds::config::settings& settings,
                               const std::string& account);

} // namespace bedsctl
