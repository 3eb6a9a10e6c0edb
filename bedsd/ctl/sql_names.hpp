#pragma once

#include <string>

namespace bedsctl {

/// An identifier as it stands in a statement of MariaDB. Those of templates hold no backticks;
/// names of databases and of what lives in them may.
std::string in_backticks(const std::string& identifier);

/// `name`, or `schema.name`, each part in backticks.
std::string in_statement(const std::string& object);

} // namespace bedsctl
