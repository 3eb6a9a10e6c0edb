#pragma once

#include <string_view>

namespace bedsctl {

/// What BEDS needs in a database of this engine, for the DBA to read and to run: `mariadb` (SQL) or
/// `mongodb` (a script for mongosh). Empty: there is no such engine.
std::string_view schema_of(std::string_view engine);

} // namespace bedsctl
