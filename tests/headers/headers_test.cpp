#include "registered.hpp"
#include "support/catch.hpp"

#include <beds/beds.hpp>
#include <beds/client/async.hpp>

#include <filesystem>
#include <set>
#include <string>

TEST_CASE("the public folder holds the registered headers and nothing else") {
    namespace fs = std::filesystem;
    const std::set<std::string> registered(std::begin(registered_headers),
                                           std::end(registered_headers));
    CHECK(registered.size() == std::size(registered_headers));
    CHECK(registered.size() > 40);
    const fs::path root = BEDS_INCLUDE_DIR;
    for (const auto& entry : fs::recursive_directory_iterator{root}) {
        if (entry.is_directory()) {
            continue;
        }
        const auto name = fs::relative(entry.path(), root).generic_string();
        INFO(name);
#if !BEDS_WITH_MARIADB
        if (name == "beds/adapters/mariadb.hpp") {
            continue;
        }
#endif
#if !BEDS_WITH_MONGODB
        if (name == "beds/adapters/mongodb.hpp") {
            continue;
        }
#endif
        CHECK(registered.count(name) == 1);
    }
}
