#include "support/catch.hpp"

#include <options.hpp>
#include <sstream>
#include <vector>

using namespace bedsd;

namespace {

struct outcome {
    std::variant<options, exit_code> result;
    std::string out;
    std::string err;
};

outcome parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "bedsd");
    std::ostringstream out;
    std::ostringstream err;
    auto result = parse_options(static_cast<int>(arguments.size()), arguments.data(), out, err);
    return {std::move(result), out.str(), err.str()};
}

} // namespace

TEST_CASE("bedsd's options") {
    const auto plain = std::get<options>(parse({}).result);
    CHECK(plain.task == task::run);
    CHECK(plain.config.filename() == "beds.toml");
    CHECK(plain.config.is_absolute());
    CHECK_FALSE(plain.overlay.has_value());

    const auto full =
        std::get<options>(parse({"--config", "a.toml", "--set", "log.level=debug", "--set",
                                 "id.version=a,b c", "--check", "--overlay", "b.toml"})
                              .result);
    CHECK(full.config == "a.toml");
    CHECK(full.overlay == std::filesystem::path{"b.toml"});
    CHECK(full.overrides == std::vector<std::string>{"log.level=debug", "id.version=a,b c"});
    CHECK(full.task == task::check);
    CHECK(std::get<options>(parse({"--print-config"}).result).task == task::print_config);
}

TEST_CASE("help and version end with 0 and say it on standard output") {
    const auto help = parse({"--help"});
    CHECK(std::get<exit_code>(help.result) == exit_code::ok);
    for (const auto* part : {"--config", "--set", "--check", "--print-config", "--version",
                             "Exit codes:", "  5  a required server"}) {
        CHECK(help.out.find(part) != std::string::npos);
    }
    CHECK(help.err.empty());
    const auto version = parse({"--version"});
    CHECK(std::get<exit_code>(version.result) == exit_code::ok);
    CHECK(version.out.find("bedsd ") == 0);
}

TEST_CASE("a wrong command line ends with 2 and says why on standard error") {
    for (const auto& arguments : std::vector<std::vector<const char*>>{
             {"--confg", "a"}, {"--config"}, {"stray"}, {"--check", "--print-config"}, {"--set"}}) {
        const auto wrong = parse(arguments);
        REQUIRE(std::holds_alternative<exit_code>(wrong.result));
        CHECK(std::get<exit_code>(wrong.result) == exit_code::usage);
        CHECK_FALSE(wrong.err.empty());
        CHECK(wrong.out.empty());
    }
}

TEST_CASE("errors have distinct exit codes") {
    using beds::core::errc;
    const auto code = [](errc why) { return exit_code_of(beds::core::error{why, "x"}); };
    CHECK(code(errc::invalid_configuration) == exit_code::bad_configuration);
    CHECK(code(errc::invalid_template) == exit_code::bad_template);
    CHECK(code(errc::unreachable) == exit_code::unreachable);
    CHECK(code(errc::deadline_exceeded) == exit_code::unreachable);
    CHECK(code(errc::internal) == exit_code::failure);
}
