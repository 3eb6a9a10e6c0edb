// What the README shows is what BEDS takes. Its C++ is built and run by tests/consume.
#include "support/catch.hpp"

#include <beds/config/load.hpp>
#include <beds/core/json.hpp>
#include <beds/templates/registry.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

using namespace beds;

namespace {

/// The code blocks of this language, in their order.
std::vector<std::string> blocks(const std::string& language) {
    std::ifstream file{BEDS_README};
    std::vector<std::string> found;
    std::string line;
    bool inside = false;
    while (std::getline(file, line)) {
        if (!inside && line == "```" + language) {
            inside = true;
            found.emplace_back();
        } else if (line == "```") {
            inside = false;
        } else if (inside) {
            found.back() += line + '\n';
        }
    }
    return found;
}

/// A folder that is gone after the test.
struct folder {
    std::filesystem::path path;
    folder() {
        auto pattern = (std::filesystem::temp_directory_path() / "beds_readme_XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::runtime_error("no folder for the test");
        }
        path = pattern;
    }
    ~folder() { std::filesystem::remove_all(path); }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    void write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories((path / name).parent_path());
        std::ofstream{path / name} << text;
    }
};

} // namespace

TEST_CASE("the README's configuration and template load, together") {
    const auto shown = blocks("toml");
    REQUIRE(shown.size() == 2);
    const folder there;
    there.write("templates/countries.toml", shown[0]);
    there.write("beds.toml", shown[1]);
    there.write("secrets/rabbitmq", "one");
    there.write("secrets/mariadb", "two");

    config::load_options options;
    options.base = there.path / "beds.toml";
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
