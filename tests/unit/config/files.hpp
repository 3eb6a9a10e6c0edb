#pragma once

#include <beds/config/load.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace config_test {

/// A folder that is gone with the test, and an environment that only the test has.
class files {
public:
    files() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "beds-config-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::runtime_error{"mkdtemp"};
        }
        root_ = pattern;
    }
    ~files() {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }
    files(const files&) = delete;
    files& operator=(const files&) = delete;

    std::filesystem::path write(const std::string& name, std::string_view text) const {
        const auto file = root_ / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream{file, std::ios::binary} << text;
        return file;
    }
    [[nodiscard]] const std::filesystem::path& root() const { return root_; }

    std::map<std::string, std::string> environment;

    [[nodiscard]] beds::config::load_result load(std::vector<std::string> overrides = {}) const {
        beds::config::load_options options;
        options.base = root_ / "beds.toml";
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

private:
    std::filesystem::path root_;
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

inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
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
