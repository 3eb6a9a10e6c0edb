#include "short_reply.hpp"

#include <beds/wire/reply.hpp>

namespace beds::adapters {

const sealed_reply* short_reply(const sealed_reply& large, outcomes results, core::arena& memory) {
    const auto index = large.identity.index;
    auto answer = core::outcome::failure(core::code::limit_exceeded,
                                         "done, but the result was too large to be kept", {},
                                         core::effect::unknown);
    if (index < results.size()) {
        answer.effect = results[index].effect;
        answer.at_least_once = results[index].at_least_once;
    }
    wire::reply_writer writer;
    writer.start(1);
    auto* const made = memory.make<sealed_reply>();
    *made = {large.identity, writer.encode(0, answer, memory)};
    return made;
}

} // namespace beds::adapters
