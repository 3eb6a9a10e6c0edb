#include "adapters/memory/store.hpp"

namespace beds::adapters::memory {

namespace {

std::string entry_key(const operation_identity& identity) {
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    std::string key = std::to_string(identity.principal.size());
    key += ':';
    key += identity.principal;
    key += identity.id;
    return key;
}

} // namespace

const inbox::entry* inbox::find(const operation_identity& identity) const {
    const auto found = entries_.find(entry_key(identity));
    return found == entries_.end() ? nullptr : &found->second;
}

bool inbox::add(const operation_identity& identity, std::string_view reply) {
    const auto [place, fresh] =
        entries_.try_emplace(entry_key(identity), entry{identity.content, std::string{reply}});
    if (fresh) {
        by_age_.push_back(&place->first);
    }
    return fresh;
}

void inbox::remove_newest(std::size_t count) {
    for (; count > 0; --count) {
        entries_.erase(entries_.find(*by_age_.back()));
        by_age_.pop_back();
    }
}

void inbox::trim() {
    while (by_age_.size() > most_) {
        entries_.erase(entries_.find(*by_age_.front()));
        by_age_.pop_front();
    }
}

} // namespace beds::adapters::memory
