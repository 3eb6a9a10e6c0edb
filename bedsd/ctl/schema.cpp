#include "schema.hpp"

#include <string>

namespace bedsctl {

// The files of libbeds/sql; the build makes the source.
extern const std::string_view mariadb_inbox;
extern const std::string_view mariadb_kill;
extern const std::string_view mongodb_inbox;

std::string_view schema_of(std::string_view engine) {
    static const auto mariadb = std::string{mariadb_inbox} + '\n' + std::string{mariadb_kill};
    return engine == "mariadb"   ? std::string_view{mariadb}
           : engine == "mongodb" ? mongodb_inbox
                                 : std::string_view{};
}

} // namespace bedsctl
