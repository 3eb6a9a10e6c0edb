#include "brokers/event_id.hpp"

#include <chrono>
#include <random>

namespace beds::brokers {
namespace {

char* append_hex(char* out, std::uint64_t number, int digits) {
    constexpr std::string_view hex = "0123456789abcdef";
    for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) {
        *out++ = hex[(number >> static_cast<unsigned>(shift)) & 15U];
    }
    return out;
}

} // namespace

event_ids::event_ids(std::string prefix)
    : prefix_(std::move(prefix)), maker_(std::random_device{}()) {}

std::string_view event_ids::next(core::system_time now, core::arena& memory) {
    const auto since =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
    const auto text = memory.make_span<char>(prefix_.size() + 28);
    prefix_.copy(text.data(), prefix_.size());
    auto* out = text.data() + prefix_.size();
    out = append_hex(out, static_cast<std::uint64_t>(since), 12);
    out = append_hex(out, maker_, 8);
    append_hex(out, ++count_, 8);
    return {text.data(), text.size()};
}

} // namespace beds::brokers
