#include <beds/core/secret.hpp>

#include <cstring>
#include <ostream>
#include <utility>

namespace beds::core {
namespace {

// The whole buffer, not only the current length: a string that was moved from or shortened keeps
// old characters in it. Growing to the capacity never allocates.
void wipe_text(std::string& text) noexcept {
    text.resize(text.capacity());
    explicit_bzero(text.data(), text.size());
    text.clear();
}

} // namespace

secret::secret(std::string text) : text_(std::move(text)) {
    wipe_text(text);
}

secret::secret(secret&& other) noexcept : text_(std::move(other.text_)) {
    other.wipe();
}

secret& secret::operator=(const secret& other) {
    if (this != &other) {
        *this = secret{other};
    }
    return *this;
}

secret& secret::operator=(secret&& other) noexcept {
    if (this != &other) {
        wipe();
        text_ = std::move(other.text_);
        other.wipe();
    }
    return *this;
}

secret::~secret() {
    wipe();
}

void secret::wipe() noexcept {
    wipe_text(text_);
}

std::ostream& operator<<(std::ostream& out, const secret&) {
    return out << redacted;
}

} // namespace beds::core
