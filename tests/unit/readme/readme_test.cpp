// What the README shows is what BEDS takes. Its C++ is built and run by tests/consume.
#include "support/catch.hpp"
#include "support/folder.hpp"

#include <beds/config/load.hpp>
#include <beds/core/json.hpp>
#include <beds/templates/registry.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <fstream>
#include <sstream>

using namespace beds;

namespace {

/// The code blocks of this language, in their order.
std::vector<std::string> blocks(const std::string& language) {
    std::ifstream file{BEDS_REPOSITORY "/README.md"};
    std::vector<std::string> found;
    std::string line;
    bool inside = false;
    bool wanted = false;
    while (std::getline(file, line)) {
        if (line.rfind("```", 0) == 0) {
            inside = !inside;
            wanted = inside && line == "```" + language;
            if (wanted) {
                found.emplace_back();
            }
        } else if (wanted) {
            found.back() += line + '\n';
        }
    }
    return found;
}

} // namespace

TEST_CASE("the README's configuration and template load, together") {
    const auto shown = blocks("toml");
    REQUIRE(shown.size() == 2);
    const test::folder there;
    there.write("templates/countries.toml", shown[0]);
    there.write("beds.toml", shown[1]);
    there.write("secrets/rabbitmq", "one");
    there.write("secrets/mariadb", "two");

    config::load_options options;
    options.base = there.root() / "beds.toml";
    options.environment = [](const std::string&) { return std::nullopt; };
    const auto loaded = config::load(options);
    for (const auto& problem : loaded.problems) {
        FAIL_CHECK(problem);
    }
    const auto& service = loaded.settings.broker_services.at("app_server");
    CHECK(service.instances.at("rel").read == 4);
    CHECK(loaded.settings.rel_services.at("rel").database == "beds");

    templates::load_settings from;
    from.directory = loaded.settings.templates.directory;
    from.connections = {{"rel", templates::engine::rel}};
    const auto read = templates::load(from);
    for (const auto& problem : read.problems) {
        FAIL_CHECK(to_string(problem));
    }
    const auto* countries = read.templates->find("countries");
    REQUIRE(countries != nullptr);
    CHECK(countries->limits.max_rows == 500);
}

TEST_CASE("the README's request and reply are those of the protocol and of its template") {
    const auto shown = blocks("json");
    REQUIRE(shown.size() == 2);
    core::arena memory;
    core::request request;
    REQUIRE(!wire::request_decoder{}.decode(shown[0], memory, request));
    REQUIRE(request.operations.size() == 1);
    CHECK(request.operations[0].refused == core::code::ok);

    const auto parsed = templates::parse(blocks("toml").at(0)).parsed.value();
    CHECK(request.operations[0].template_name == parsed.name);
    core::json_parser parser;
    wire::reply_view reply;
    REQUIRE(wire::decode_reply(shown[1], parser, memory, reply));
    REQUIRE(reply.results.size() == 1);
    REQUIRE(reply.results[0].rows != nullptr);
    const auto& row = reply.results[0].rows->items()[0];
    const auto& fields = *request.operations[0].fields;
    REQUIRE(row.members().size() == fields.items().size());
    for (const auto& field : fields.items()) {
        INFO(field.text);
        CHECK(parsed.find_field(field.text).has_value());
        CHECK(row.find(field.text) != nullptr);
    }
}

TEST_CASE("the README's table is the quickstart's") {
    std::ifstream file{BEDS_REPOSITORY "/examples/quickstart/client/main.cpp"};
    std::stringstream text;
    text << file.rdbuf();
    const auto program = text.str();
    const auto shown = blocks("");
    std::size_t rows = 0;
    for (const auto& block : shown) {
        std::istringstream lines{block};
        std::string number;
        std::string shows;
        std::string line;
        while (std::getline(lines, line)) {
            std::istringstream columns{line};
            std::getline(columns, number, '|');
            if (number.find_first_of("0123456789") == std::string::npos ||
                !std::getline(columns, shows, '|')) {
                continue;
            }
            ++rows;
            shows.erase(0, 1);
            shows.erase(shows.find_last_not_of(' ') + 1);
            INFO(shows);
            CHECK(program.find('"' + shows + '"') != std::string::npos);
        }
    }
    CHECK(rows >= 8);
}
