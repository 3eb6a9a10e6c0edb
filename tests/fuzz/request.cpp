// The bytes of a request: refused with a reason, or taken apart into operations that can be written
// again.
#include "fuzz/target.hpp"

#include <beds/wire/request.hpp>

#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace beds;
    static wire::request_decoder decoder{
        {.max_body = 1024 * 1024, .max_depth = 100, .max_operations = 256}};
    static core::arena memory;
    memory.reset();
    core::request request;
    if (const auto refused = decoder.decode(fuzz::text_of(data, size), memory, request)) {
        fuzz::expect(refused->code != core::code::ok && !refused->detail.empty());
        return 0;
    }
    fuzz::expect(!request.operations.empty() && request.operations.size() <= 256);
    bool refused = false;
    for (const auto& op : request.operations) {
        refused = refused || op.refused != core::code::ok;
        fuzz::expect((op.refused == core::code::ok) == op.refusal.empty());
    }
    if (!refused) {
        std::string written;
        wire::append_request(written, request);
        core::request again;
        fuzz::expect(!decoder.decode(written, memory, again));
        fuzz::expect(again.operations.size() == request.operations.size());
        for (std::size_t i = 0; i < again.operations.size(); ++i) {
            fuzz::expect(again.operations[i].op == request.operations[i].op);
            fuzz::expect(again.operations[i].template_name == request.operations[i].template_name);
        }
    }
    return 0;
}
