// Template files: there are problems with file and reason, or there is a template.
#include "fuzz/target.hpp"

#include <beds/templates/registry.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace beds;
    const auto result = templates::parse(fuzz::text_of(data, size), {}, "fuzz.toml");
    fuzz::expect(result.parsed.has_value() == result.problems.empty());
    for (const auto& one : result.problems) {
        fuzz::expect(!to_string(one).empty() && !one.message.empty());
    }
    if (result.parsed) {
        const templates::registry all{{*result.parsed}};
        fuzz::expect(all.find(result.parsed->name) != nullptr);
    }
    return 0;
}
