// The bytes of a reply, as a client takes them apart: whoever answers, every question has an
// answer.
#include "fuzz/target.hpp"

#include <beds/client/reply.hpp>
#include <beds/core/error.hpp>

#include <optional>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace beds;
    std::optional<client::reply> taken;
    try {
        taken.emplace(std::string{fuzz::text_of(data, size)}, "id");
    } catch (const core::error& refused) { // no reply of this protocol
        fuzz::expect(refused.code() == core::errc::protocol);
        return 0;
    }
    const auto& reply = *taken;
    std::size_t seen = reply.event().size() + reply.part_number() + reply.request_id().size();
    fuzz::expect(reply.size() > 0);
    for (std::size_t i = 0; i < reply.size(); ++i) {
        const auto result = reply[i];
        seen += result.detail().size() + result.field().size() + result.reason().size() +
                result.code_text().size() + result.next().size();
        seen += static_cast<std::size_t>(result.retry_after().count() != 0);
        seen += result.count().value_or(0) != 0 || result.total().value_or(0) != 0 ||
                        result.exists() || result.at_least_once() || result.retryable()
                    ? 1U
                    : 0U;
        for (std::size_t row = 0; row < result.size(); ++row) {
            for (const auto& member : result[row].data().members()) {
                seen += result[row].text(member.name).size();
                seen += result[row].integer(member.name).has_value() ? 1U : 0U;
            }
        }
        seen += result.out() != nullptr && result.set("rows") != nullptr ? 1U : 0U;
        const auto part = reply.part(i, "part");
        fuzz::expect(part.size() > 0);
    }
    seen += reply.ok() ? 1U : 0U;
    return seen == static_cast<std::size_t>(-1) ? 1 : 0; // so that nothing is left out
}
