#pragma once

#include "adapters/mariadb/connection.hpp"

#include <beds/adapters/survey.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::adapters::mariadb {

/// As `adapter::compare` and `adapter::compare_own` say; on a connection that is open.
std::vector<difference> compare_template(connection& with, const templates::template_def& wanted,
                                         core::op_class highest);
std::vector<difference> compare_own(connection& with,
                                    std::span<const templates::template_def* const> targets);

/// May an account with these lines of SHOW GRANTS execute this routine? `type` is PROCEDURE or
/// FUNCTION.
bool may_execute(std::span<const std::string> grants, std::string_view schema,
                 std::string_view name, std::string_view type);

} // namespace beds::adapters::mariadb
