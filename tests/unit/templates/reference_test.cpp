#include "support/catch.hpp"

#include <beds/templates/registry.hpp>

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

using namespace beds;

namespace {

std::string reference_file() {
    std::ifstream in{BEDS_TEMPLATE_REFERENCE, std::ios::binary};
    REQUIRE(in);
    return {std::istreambuf_iterator<char>{in}, {}};
}

/// The first TOML example of the document.
std::string example(const std::string& document) {
    const std::string_view fence = "```toml\n";
    const auto begin = document.find(fence);
    REQUIRE(begin != std::string::npos);
    const auto end = document.find("```", begin + fence.size());
    REQUIRE(end != std::string::npos);
    return document.substr(begin + fence.size(), end - begin - fence.size());
}

} // namespace

TEST_CASE("the reference names exactly the keys that the loader takes") {
    const auto document = reference_file();
    const auto begin = document.find("### `[template]`");
    REQUIRE(begin != std::string::npos);
    // To renew the document, replace its tables by what `unit_templates "[print]"` prints.
    CHECK(document.substr(begin) == templates::reference());
    const std::string_view title = "## Keys\n\n";
    CHECK(document.find(title) + title.size() ==
          begin); // nothing of what Catch2 prints around them
}

TEST_CASE("the reference's example is a template") {
    const auto result = templates::parse(example(reference_file()));
    for (const auto& each : result.problems) {
        FAIL_CHECK(templates::to_string(each));
    }
    CHECK(result.parsed);
}

TEST_CASE("prints the tables of the reference", "[.][print]") {
    std::cout << templates::reference();
}
