#pragma once

#include <beds/core/arena.hpp>
#include <beds/core/clock.hpp>
#include <beds/core/secret.hpp>
#include <beds/core/value.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_cipher_ctx_st; // OpenSSL's EVP_CIPHER_CTX

namespace beds::wire {

/// What cursors are sealed with, and for how long they are good. Made once for a role; never
/// changes, so any number of threads may share it. See libbeds/doc/decisions/0018.
class cursor_keys {
public:
    /// `key`: at least 32 bytes that nobody can guess, used as they are; one key gives each
    /// `domain` (the role) a key of its own. `previous`: cursors that it sealed are good too; may
    /// be empty. Throws core::error(internal) when OpenSSL fails.
    cursor_keys(const core::secret& key, const core::secret& previous, std::string_view domain,
                std::chrono::seconds lifetime);
    ~cursor_keys();
    cursor_keys(const cursor_keys&) = delete;
    cursor_keys& operator=(const cursor_keys&) = delete;

    static constexpr std::chrono::seconds default_lifetime{3600};
    static constexpr std::size_t least_key = 32;
    /// A random key that dies with the process: for whoever gives none.
    static std::shared_ptr<const cursor_keys> of_this_process();
    /// Makes a key of a password, slowly (about 200 ms): who holds a cursor should
    /// not get to the password by trying. Equal inputs give equal keys.
    static core::secret stretch(const core::secret& password, std::string_view salt);

private:
    friend class cursor_codec;
    using bytes = std::array<unsigned char, 32>;
    bytes current_{};
    bytes previous_{};
    bool has_previous_ = false;
    std::chrono::seconds lifetime_;
};

/// Seals and opens cursors. A cursor is opaque to clients: the position after a row, encrypted and
/// signed (AES-256-GCM), bound by a tag to the template, filter and sort that it was made for, and
/// good until it expires. Belongs to one thread; keeps its memory.
class cursor_codec {
public:
    explicit cursor_codec(std::shared_ptr<const cursor_keys> keys,
                          const core::clock& clock = core::machine_clock());

    /// Appends a cursor. The tag is not in it: whoever opens it has to know it.
    void append(std::string& out, std::uint64_t tag, std::span<const core::value> position);

    enum class verdict : std::uint8_t {
        good,
        foreign, ///< not whole, not ours, or made for another tag: nobody can tell which
        expired,
    };
    struct opened {
        cursor_codec::verdict verdict = verdict::foreign;
        std::span<const core::value> position; ///< when it is good
    };
    /// Values live in `memory`; their kinds are as written, the caller compares them with the types
    /// of the fields.
    opened open(std::string_view text, std::uint64_t tag, core::system_time now,
                core::arena& memory);

private:
    struct end_context {
        void operator()(evp_cipher_ctx_st* context) const;
    };
    using context = std::unique_ptr<evp_cipher_ctx_st, end_context>;
    using salt_bytes = std::array<unsigned char, 16>;
    static constexpr std::size_t most_keys = 2;

    std::shared_ptr<const cursor_keys> keys_;
    const core::clock* clock_;
    context sealing_; ///< with the key of this codec alone; made with the first cursor
    salt_bytes own_{};
    std::uint64_t count_ = 0;
    /// Pages of one list mostly come from one codec: its keys are kept.
    std::array<context, most_keys> opening_;
    salt_bytes opening_salt_{};
    std::string bytes_;
};

} // namespace beds::wire
