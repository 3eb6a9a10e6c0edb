#include "support/catch.hpp"
#include "support/folder.hpp"

#include <beds/templates/registry.hpp>

#include <filesystem>
#include <string>
#include <string_view>

using namespace beds;

namespace {

namespace fs = std::filesystem;

std::string simple(std::string_view name, std::string_view service = "app_server") {
    return "[template]\nname = \"" + std::string{name} + "\"\nservice = \"" + std::string{service} +
           "\"\nstore = \"rel\"\nobject = \"t\"\nkey = [\"id\"]\n[fields]\nid = { type = \"int64\" "
           "}\n";
}

templates::load_settings from(const test::folder& directory) {
    templates::load_settings settings;
    settings.directory = directory.root();
    return settings;
}

} // namespace

TEST_CASE("all good templates of a directory stand in the registry, whatever the others are") {
    const test::folder directory;
    directory.write("b.toml", simple("beta"));
    directory.write("a.toml", simple("alpha"));
    directory.write("notes.txt", "not a template");
    directory.write(".hidden.toml", "not a template");
    directory.write("x.toml", "[template]\nnmae = 1\n");
    directory.write("y.toml", "[[[\n");
    const auto loaded = templates::load(from(directory));
    REQUIRE(loaded.templates);
    CHECK(loaded.templates->all().size() == 2);
    REQUIRE(loaded.templates->find("alpha") != nullptr);
    CHECK(loaded.templates->find("alpha")->file == directory.root() / "a.toml");
    CHECK(loaded.templates->find("beta") != nullptr);
    REQUIRE(loaded.problems.size() > 2);
    CHECK(loaded.problems.front().file == directory.root() / "x.toml");
    CHECK(loaded.problems.back().file == directory.root() / "y.toml");
    CHECK(loaded.problems.back().line == 1);
}

TEST_CASE("a name that two files have is refused, and both files are named") {
    const test::folder directory;
    directory.write("a.toml", simple("same"));
    directory.write("b.toml", simple("same"));
    const auto loaded = templates::load(from(directory));
    REQUIRE(loaded.problems.size() == 1);
    CHECK(templates::to_string(loaded.problems[0]) ==
          (directory.root() / "b.toml").string() +
              ":2: template.name: template 'same' is already in " +
              (directory.root() / "a.toml").string());
    REQUIRE(loaded.templates->find("same") != nullptr);
    CHECK(loaded.templates->find("same")->file == directory.root() / "a.toml");
}

TEST_CASE("a node keeps the templates of its services and does not judge those served elsewhere") {
    const test::folder directory;
    directory.write("a.toml", simple("mine"));
    directory.write("b.toml", simple("theirs", "admin") + "[zzz]\n");
    auto settings = from(directory);
    settings.elsewhere = {"admin"};
    const auto loaded = templates::load(settings);
    CHECK(loaded.problems.empty());
    CHECK(loaded.templates->all().size() == 1);
    CHECK(loaded.templates->find("mine") != nullptr);
    settings.elsewhere = {"app_server"}; // what a template without `service` is for
    CHECK(templates::load(settings).templates->find("mine") == nullptr);
    settings.elsewhere.clear();
    CHECK(templates::load(settings).problems.size() == 1);
}

TEST_CASE("a directory that is missing or empty is a problem, not an exception") {
    const test::folder directory;
    auto settings = from(directory);
    const auto empty = templates::load(settings);
    REQUIRE(empty.problems.size() == 1);
    CHECK(empty.problems[0].message == "there is no template (*.toml) in this directory");
    CHECK(empty.templates->all().empty());
    settings.directory /= "nowhere";
    const auto missing = templates::load(settings);
    REQUIRE(missing.problems.size() == 1);
    CHECK(missing.problems[0].message.starts_with("cannot be read"));
    CHECK(missing.templates->all().empty());
}

TEST_CASE("a file that cannot be a template is not read") {
    const test::folder directory;
    directory.write("big.toml", std::string((std::size_t{1} << 20) + 1, '#'));
    fs::create_directory(directory.root() / "folder.toml");
    const auto loaded = templates::load(from(directory));
    REQUIRE(loaded.problems.size() == 2);
    CHECK(loaded.problems[0].message == "larger than 1 MiB, which no template is");
    CHECK(loaded.problems[1].message == "is not a file that can be read");
}
