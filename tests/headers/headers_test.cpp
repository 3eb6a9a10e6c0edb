#include "registered.hpp"
#include "support/catch.hpp"

#include <beds/beds.hpp>
#include <beds/client/async.hpp>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>

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

TEST_CASE("bedsd is a thin program over the public headers") {
    namespace fs = std::filesystem;
    int sources = 0;
    for (const auto& entry : fs::directory_iterator{BEDSD_DIR}) {
        const auto name = entry.path().filename().string();
        if (entry.path().extension() != ".cpp" && entry.path().extension() != ".hpp") {
            continue;
        }
        ++sources;
        std::ifstream file{entry.path()};
        int lines = 0;
        for (std::string line; std::getline(file, line); ++lines) {
            const std::string_view include = "#include \"";
            if (line.rfind(include, 0) == 0) {
                INFO(name << ": " << line);
                const auto used = line.substr(include.size(), line.rfind('"') - include.size());
                CHECK(fs::exists(fs::path{BEDSD_DIR} / used));
                CHECK(used.find("..") == std::string::npos);
            }
        }
        if (name == "main.cpp") {
            CHECK(lines < 150);
        }
    }
    CHECK(sources > 5);
}
