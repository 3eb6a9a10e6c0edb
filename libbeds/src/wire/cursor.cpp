#include <beds/core/error.hpp>
#include <beds/core/json.hpp>
#include <beds/wire/cursor.hpp>

#include <cstring>
#include <limits>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <optional>

namespace beds::wire {
namespace {

using core::value;
using key_bytes = std::array<unsigned char, 32>;

// A cursor: version, salt, number, then encrypted the time at which it expires and the position,
// then the tag of AES-GCM. The salt is a codec's own and makes its key, so that the numbers, which
// are the nonces, need to differ within one codec only.
constexpr char version = 2;
constexpr std::size_t salt_size = 16;
constexpr std::size_t number_size = 8;
constexpr std::size_t front_size = 1 + salt_size + number_size;
constexpr std::size_t seal_size = 16;
constexpr std::size_t nonce_size = 12; // what AES-GCM takes without being told

[[noreturn]] void failed(const char* what) {
    throw core::error(core::errc::internal, std::string{"OpenSSL cannot "} + what);
}

const unsigned char* raw(const char* bytes) {
    return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* raw(char* bytes) {
    return reinterpret_cast<unsigned char*>(bytes);
}

template <class T>
void append_raw(std::string& out, T number) {
    char bytes[sizeof number];
    std::memcpy(bytes, &number, sizeof number);
    out.append(bytes, sizeof bytes);
}

template <class T>
bool take_raw(std::string_view& from, T& number) {
    if (from.size() < sizeof number) {
        return false;
    }
    std::memcpy(&number, from.data(), sizeof number);
    from.remove_prefix(sizeof number);
    return true;
}

key_bytes derive(std::string_view from, std::string_view purpose) {
    key_bytes made{};
    unsigned size = 0;
    if (from.size() > std::numeric_limits<int>::max() ||
        HMAC(EVP_sha256(), from.data(), static_cast<int>(from.size()), raw(purpose.data()),
             purpose.size(), made.data(), &size) == nullptr ||
        size != made.size()) {
        failed("derive the key of cursors");
    }
    return made;
}

evp_cipher_ctx_st* make_context(const key_bytes& keys, std::string_view salt, bool encrypt) {
    auto own = derive({reinterpret_cast<const char*>(keys.data()), keys.size()}, salt);
    auto* made = EVP_CIPHER_CTX_new();
    const bool ready = made != nullptr && EVP_CipherInit_ex(made, EVP_aes_256_gcm(), nullptr,
                                                            own.data(), nullptr, encrypt) == 1;
    OPENSSL_cleanse(own.data(), own.size());
    if (!ready) {
        EVP_CIPHER_CTX_free(made);
        failed("prepare the sealing of cursors");
    }
    return made;
}

/// Begins one cursor: nonce and what is signed beside its content.
bool begin(evp_cipher_ctx_st* context, std::string_view number, std::uint64_t tag) {
    unsigned char nonce[nonce_size] = {};
    std::memcpy(nonce, number.data(), number.size());
    unsigned char bound[1 + sizeof tag] = {static_cast<unsigned char>(version)};
    std::memcpy(bound + 1, &tag, sizeof tag);
    int size = 0;
    return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce, -1) == 1 &&
           EVP_CipherUpdate(context, nullptr, &size, bound, sizeof bound) == 1;
}

bool has_text(value::kind kind) {
    return kind == value::kind::decimal || kind == value::kind::string ||
           kind == value::kind::uuid || kind == value::kind::bytes || kind == value::kind::json;
}

std::optional<std::span<const value>> read_position(std::string_view left, core::arena& memory) {
    constexpr std::size_t most_parts = 64;
    value parts[most_parts];
    std::size_t count = 0;
    while (!left.empty()) {
        const auto kind = static_cast<unsigned char>(left.front());
        left.remove_prefix(1);
        if (count == most_parts || kind >= static_cast<unsigned char>(value::kind::document)) {
            return std::nullopt;
        }
        auto& part = parts[count++];
        part.type = static_cast<value::kind>(kind);
        if (has_text(part.type)) {
            std::uint32_t size = 0;
            if (!take_raw(left, size) || left.size() < size) {
                return std::nullopt;
            }
            part.text = left.substr(0, size);
            left.remove_prefix(size);
        } else if (part.type != value::kind::null && !take_raw(left, part.integer)) {
            return std::nullopt;
        }
        if (part.type == value::kind::boolean && part.integer != 0 && part.integer != 1) {
            return std::nullopt;
        }
    }
    return memory.copy(std::span<const value>{parts, count});
}

std::int64_t seconds_of(core::system_time when) {
    return std::chrono::floor<std::chrono::seconds>(when.time_since_epoch()).count();
}

} // namespace

cursor_keys::cursor_keys(const core::secret& key, const core::secret& previous,
                         std::string_view domain, std::chrono::seconds lifetime)
    : has_previous_(!previous.empty()), lifetime_(lifetime) {
    const auto purpose = "beds cursors " + std::string{domain};
    current_ = derive(key.reveal(), purpose);
    if (has_previous_) {
        previous_ = derive(previous.reveal(), purpose);
    }
}

cursor_keys::~cursor_keys() {
    OPENSSL_cleanse(current_.data(), current_.size());
    OPENSSL_cleanse(previous_.data(), previous_.size());
}

std::shared_ptr<const cursor_keys> cursor_keys::of_this_process() {
    static const auto made = [] {
        std::string random(least_key, '\0');
        if (RAND_bytes(raw(random.data()), static_cast<int>(random.size())) != 1) {
            failed("give random bytes");
        }
        return std::make_shared<const cursor_keys>(core::secret{std::move(random)}, core::secret{},
                                                   "process", default_lifetime);
    }();
    return made;
}

core::secret cursor_keys::stretch(const core::secret& password, std::string_view salt) {
    // scrypt with 16 MiB, as OWASP has it for passwords.
    constexpr std::uint64_t blocks = 1U << 14U;
    constexpr std::uint64_t block_size = 8;
    constexpr std::uint64_t times = 5;
    constexpr std::uint64_t most_memory = std::uint64_t{32} << 20U;
    std::string made(least_key, '\0');
    const auto& text = password.reveal();
    if (EVP_PBE_scrypt(text.data(), text.size(), raw(salt.data()), salt.size(), blocks, block_size,
                       times, most_memory, raw(made.data()), made.size()) != 1) {
        failed("derive the key of cursors");
    }
    return core::secret{std::move(made)};
}

void cursor_codec::end_context::operator()(evp_cipher_ctx_st* context) const {
    EVP_CIPHER_CTX_free(context);
}

cursor_codec::cursor_codec(std::shared_ptr<const cursor_keys> keys, const core::clock& clock)
    : keys_(keys != nullptr ? std::move(keys) : cursor_keys::of_this_process()), clock_(&clock) {}

void cursor_codec::append(std::string& out, std::uint64_t tag, std::span<const value> position) {
    if (sealing_ == nullptr) {
        if (RAND_bytes(own_.data(), static_cast<int>(own_.size())) != 1) {
            failed("give random bytes");
        }
        sealing_.reset(make_context(
            keys_->current_, {reinterpret_cast<const char*>(own_.data()), own_.size()}, true));
    }
    bytes_.assign(1, version);
    bytes_.append(reinterpret_cast<const char*>(own_.data()), own_.size());
    append_raw(bytes_, count_++);
    append_raw(bytes_, seconds_of(clock_->system_now() + keys_->lifetime_));
    for (const auto& part : position) {
        bytes_.push_back(static_cast<char>(part.type));
        if (has_text(part.type)) {
            append_raw(bytes_, static_cast<std::uint32_t>(part.text.size()));
            bytes_.append(part.text);
        } else if (part.type != value::kind::null) {
            append_raw(bytes_, part.integer); // every scalar of the union has these eight bytes
        }
    }
    auto* content = raw(bytes_.data() + front_size);
    const auto size = static_cast<int>(bytes_.size() - front_size);
    unsigned char seal[seal_size];
    int done = 0;
    int rest = 0;
    if (!begin(sealing_.get(), std::string_view{bytes_}.substr(1 + salt_size, number_size), tag) ||
        EVP_CipherUpdate(sealing_.get(), content, &done, content, size) != 1 || done != size ||
        EVP_CipherFinal_ex(sealing_.get(), content + done, &rest) != 1 || rest != 0 ||
        EVP_CIPHER_CTX_ctrl(sealing_.get(), EVP_CTRL_GCM_GET_TAG, sizeof seal, seal) != 1) {
        failed("seal a cursor");
    }
    bytes_.append(reinterpret_cast<const char*>(seal), sizeof seal);
    core::append_base64(out, bytes_);
}

cursor_codec::opened cursor_codec::open(std::string_view text, std::uint64_t tag,
                                        core::system_time now, core::arena& memory) {
    opened made;
    const auto decoded = core::decode_base64(text, memory);
    if (!decoded || decoded->size() < front_size + sizeof(std::int64_t) + seal_size ||
        decoded->size() > std::numeric_limits<int>::max() || decoded->front() != version) {
        return made;
    }
    const auto salt = decoded->substr(1, salt_size);
    const auto number = decoded->substr(1 + salt_size, number_size);
    const auto sealed = decoded->substr(front_size, decoded->size() - front_size - seal_size);
    unsigned char seal[seal_size];
    std::memcpy(seal, decoded->data() + decoded->size() - seal_size, seal_size);

    if (std::memcmp(opening_salt_.data(), salt.data(), salt.size()) != 0) {
        opening_ = {};
        std::memcpy(opening_salt_.data(), salt.data(), salt.size());
    }
    const auto plain = memory.make_span<char>(sealed.size());
    const auto opens = [&](context& with, const key_bytes& key) {
        if (with == nullptr) {
            with.reset(make_context(key, salt, false));
        }
        int done = 0;
        int rest = 0;
        return begin(with.get(), number, tag) &&
               EVP_CipherUpdate(with.get(), raw(plain.data()), &done, raw(sealed.data()),
                                static_cast<int>(sealed.size())) == 1 &&
               EVP_CIPHER_CTX_ctrl(with.get(), EVP_CTRL_GCM_SET_TAG, sizeof seal, seal) == 1 &&
               EVP_CipherFinal_ex(with.get(), raw(plain.data()) + done, &rest) == 1;
    };
    if (!opens(opening_[0], keys_->current_) &&
        !(keys_->has_previous_ && opens(opening_[1], keys_->previous_))) {
        return made;
    }
    std::string_view left{plain.data(), plain.size()};
    std::int64_t expires = 0;
    if (!take_raw(left, expires)) {
        return made;
    }
    if (seconds_of(now) >= expires) {
        made.verdict = verdict::expired;
        return made;
    }
    if (const auto position = read_position(left, memory)) {
        made.verdict = verdict::good;
        made.position = *position;
    }
    return made;
}

} // namespace beds::wire
