// JSON: what is taken comes out as JSON of the same content.
#include "fuzz/target.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/json.hpp>

#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace beds;
    static core::json_parser parser{{.max_depth = 100, .max_values = 100'000}};
    static core::arena memory;
    memory.reset();
    core::datum first;
    const auto text = fuzz::text_of(data, size);
    if (const auto refused = parser.parse(text, memory, first)) {
        fuzz::expect(refused->offset <= size && !refused->what.empty());
        return 0;
    }
    std::string written;
    core::append_json(written, first);
    core::datum again;
    fuzz::expect(!parser.parse(written, memory, again));
    fuzz::expect(core::hash(first) == core::hash(again));
    return 0;
}
