// What the README shows is what BEDS takes. Its C++ is built and run by tests/consume.
#include "support/catch.hpp"
#include "support/folder.hpp"

#include <beds/config/load.hpp>
#include <beds/core/json.hpp>
#include <beds/templates/registry.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

using namespace beds;

namespace {

const std::filesystem::path repository = BEDS_REPOSITORY;

std::string text_of(const std::filesystem::path& path) {
    std::ifstream file{path};
    REQUIRE(file);
    return {std::istreambuf_iterator<char>{file}, {}};
}

/// What `pattern` catches, wherever it matches.
std::vector<std::string> matches(const std::string& text, const char* pattern) {
    const std::regex wanted{pattern};
    std::vector<std::string> found;
    for (std::sregex_iterator it{text.begin(), text.end(), wanted}, end; it != end; ++it) {
        found.push_back((*it)[1]);
    }
    return found;
}

struct block {
    std::string language;
    std::string text;
};

/// The README's code blocks, in their order.
std::vector<block> all_blocks() {
    std::istringstream file{text_of(repository / "README.md")};
    std::vector<block> found;
    std::string line;
    bool inside = false;
    while (std::getline(file, line)) {
        if (line.rfind("```", 0) == 0) {
            inside = !inside;
            if (inside) {
                found.push_back({line.substr(3), ""});
            }
        } else if (inside) {
            found.back().text += line + '\n';
        }
    }
    return found;
}

std::vector<std::string> blocks(const std::string& language) {
    std::vector<std::string> found;
    for (auto& each : all_blocks()) {
        if (each.language == language) {
            found.push_back(std::move(each.text));
        }
    }
    return found;
}

/// The text between this heading and the next; of "" that above the first.
std::string section(const std::string& heading) {
    auto text = text_of(repository / "README.md");
    if (!heading.empty()) {
        const auto begin = text.find("\n## " + heading + '\n');
        INFO(heading);
        REQUIRE(begin != std::string::npos);
        text.erase(0, begin + heading.size() + 5);
    }
    return text.substr(0, text.find("\n## "));
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

TEST_CASE("a newcomer finds on the first screen what BEDS is, for whom, and how fast") {
    const auto first = section("");
    for (const char* part : {"no SQL", "no column names", "no credentials of a database",
                             "\nMeasured on ", "`bench/run fetch", "\nFor service developers"}) {
        INFO(part);
        CHECK(test::contains(first, part));
    }
    CHECK(std::count(first.begin(), first.end(), '\n') < 25);
    const auto picture = blocks("").at(0);
    for (const char* part : {"client", "AMQP", "factory", "adapter", "database"}) {
        INFO(part);
        CHECK(test::contains(picture, part));
    }
    CHECK(section("Two commands").find("tests/run") < section("Two commands").find("100% tests"));
    CHECK(test::contains(section("Embedding"), "```cpp"));
    CHECK(test::contains(section("What is not there yet"), "\n- "));
}

TEST_CASE("no block of the README is longer than 20 lines") {
    const auto shown = all_blocks();
    CHECK(shown.size() >= 9);
    for (const auto& each : shown) {
        INFO(each.text);
        CHECK(std::count(each.text.begin(), each.text.end(), '\n') <= 20);
    }
}

TEST_CASE("what the README and the documents point to is there") {
    namespace fs = std::filesystem;
    std::vector<fs::path> documents{repository / "README.md"};
    for (const auto& entry : fs::recursive_directory_iterator{repository / "libbeds/doc"}) {
        if (entry.path().extension() == ".md") {
            documents.push_back(entry.path());
        }
    }
    std::size_t links = 0;
    for (const auto& document : documents) {
        for (const auto& link : matches(text_of(document), R"(\]\(([^)#:]+)[#)])")) {
            INFO(document << ": " << link);
            CHECK(fs::exists(document.parent_path() / link));
            ++links;
        }
    }
    CHECK(links > 10);
}

TEST_CASE("the numbered examples start with find_package(beds) and run as tests") {
    const auto tests = text_of(repository / "tests/consume/CMakeLists.txt");
    const std::regex first{R"(\nproject\([^)]*\)\s+find_package\(beds )"};
    int examples = 0;
    for (const auto& entry : std::filesystem::directory_iterator{repository / "examples"}) {
        const auto name = entry.path().filename().string();
        if (std::isdigit(static_cast<unsigned char>(name[0])) != 0) {
            ++examples;
            INFO(name);
            CHECK(std::regex_search(text_of(entry.path() / "CMakeLists.txt"), first));
            CHECK(std::regex_search(tests,
                                    std::regex{"beds_add_consume_test\\(run_[a-z0-9_]*" + name}));
        }
    }
    CHECK(examples >= 4);
}

TEST_CASE("the README names every library that a build needs") {
    const auto building = section("Building");
    const auto installed =
        matches(text_of(repository / "tests/support/install-packages"), R"(\[build\]="([^"]*))");
    REQUIRE(installed.size() == 1);
    const auto libraries = matches(installed[0], R"((\S+-dev)\b)");
    CHECK(libraries.size() > 10);
    for (const auto& library : libraries) {
        INFO(library);
        CHECK(std::regex_search(building, std::regex{"[` ]" + library + "[` ]"}));
    }
}
