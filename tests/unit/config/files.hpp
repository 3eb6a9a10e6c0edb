#pragma once

#include "support/folder.hpp"

#include <beds/config/load.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace config_test {

using beds::test::contains;

/// A folder, and an environment that only the test has.
class files : public beds::test::folder {
public:
    std::map<std::string, std::string> environment;

    [[nodiscard]] beds::config::load_result load(std::vector<std::string> overrides = {}) const {
        beds::config::load_options options;
        options.base = path("beds.toml");
        options.overrides = std::move(overrides);
        options.environment = [this](const std::string& name) -> std::optional<std::string> {
            const auto found = environment.find(name);
            return found == environment.end() ? std::nullopt : std::optional{found->second};
        };
        return beds::config::load(options);
    }
    beds::config::load_result load(std::string_view base,
                                   std::vector<std::string> overrides = {}) const {
        write("beds.toml", base);
        return load(std::move(overrides));
    }
};

/// The problem of that key; its key is "(none)" when there is none.
inline beds::config::problem problem_of(const beds::config::load_result& result,
                                        std::string_view key) {
    const auto found = std::find_if(result.problems.begin(), result.problems.end(),
                                    [&](const auto& each) { return each.key == key; });
    if (found == result.problems.end()) {
        beds::config::problem none;
        none.key = "(none)";
        none.message = "all problems:\n" + beds::config::to_string(result.problems);
        return none;
    }
    return *found;
}

inline constexpr std::string_view minimal = R"([broker_services.app_server]
user = "beds"
pass = "hunter2"

[broker_services.app_server.instances]
rel = { read = 4, write = 2, bulk = 1 }

[rel_services.rel]
user = "beds"
pass = "hunter2"
database = "beds"
)";

} // namespace config_test
