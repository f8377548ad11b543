# KenLM's query code as a static library, from its source on PyPI. KENLM_SOURCE names a folder that
# has it already.
#
# KenLM maps a binary into memory and trusts it. The patches below, made to a copy, keep each lookup
# within the mapped file whatever its bytes are; src/language_model.cpp checks the headers.
set(KENLM_VERSION 0.3.0)
set(KENLM_SHA256 c4628bb9fb63c8a6f9240035b8b037385cfc404cb72e933cf48878291edac1e8)
set(KENLM_SOURCE "" CACHE PATH "KenLM's unpacked source; downloaded with pip if empty")

set(folder "${CMAKE_CURRENT_BINARY_DIR}/kenlm")

function(download_kenlm)
  # pip checks the hash before it runs anything of the archive.
  set(requirement "kenlm==${KENLM_VERSION} --hash=sha256:${KENLM_SHA256}\n")
  file(WRITE "${folder}/requirements.txt" "${requirement}")
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -m pip download --quiet --disable-pip-version-check --no-deps
            --no-binary kenlm --no-build-isolation --require-hashes --dest "${folder}"
            --requirement "${folder}/requirements.txt"
    COMMAND_ERROR_IS_FATAL ANY)
  file(ARCHIVE_EXTRACT INPUT "${folder}/kenlm-${KENLM_VERSION}.tar.gz" DESTINATION "${folder}")
endfunction()

# Replaces `old` in a file of the copy; it must be there exactly once.
function(patch name old new)
  file(READ "${patched}/${name}" text)
  string(FIND "${text}" "${old}" first)
  string(FIND "${text}" "${old}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "${source}/${name} is not KenLM ${KENLM_VERSION}'s: cannot patch\n${old}")
  endif()
  string(REPLACE "${old}" "${new}" text "${text}")
  file(WRITE "${patched}/${name}" "${text}")
endfunction()

function(patch_kenlm)
  # A node of a trie: its entries are among those of its order, and no more than there are words.
  patch(lm/search_trie.hh
[[    typedef trie::BitPackedLongest Longest;
]]
[[    typedef trie::BitPackedLongest Longest;

    Node Confined(const Node &node, unsigned char order_minus_2) const {
      const bool sound = node.begin <= node.end && node.end <= entries_[order_minus_2]
          && node.end - node.begin <= words_;
      return sound ? node : Node();
    }

    uint64_t words_, entries_[KENLM_MAX_ORDER - 1];
]])
  patch(lm/search_trie.cc
[[  quant_.SetupMemory(start, counts.size(), config);
]]
[[  words_ = counts[0] + 1;
  std::copy(counts.begin() + 1, counts.end(), entries_);
  quant_.SetupMemory(start, counts.size(), config);
]])
  patch(lm/search_trie.hh
[[      util::BitAddress address(middle_begin_]]
[[      node = Confined(node, order_minus_2);
      util::BitAddress address(middle_begin_]])
  patch(lm/search_trie.hh
[[longest_.Find(word, node)]]
[[longest_.Find(word, Confined(node, Order() - 2))]])
  # The index of compressed pointers: wrap around instead of shifting a negative number.
  patch(lm/bhiksha.hh
[[((begin_it - offset_begin_) <<]]
[[(static_cast<uint64_t>(begin_it - offset_begin_) <<]])
  patch(lm/bhiksha.hh
[[((end_it - offset_begin_) <<]]
[[(static_cast<uint64_t>(end_it - offset_begin_) <<]])

  # A hash table: a full one, which no sound file has, must not be searched for ever.
  patch(util/probing_hash_table.hh
[[      for (;; mod_.Next(begin_, end_, i)) {
        Key got(i->GetKey());
        if (equal_(got, key)) return true;
        if (equal_(got, invalid_)) return false;
      }
]]
[[      for (std::size_t left = buckets_; left; --left, mod_.Next(begin_, end_, i)) {
        Key got(i->GetKey());
        if (equal_(got, key)) return true;
        if (equal_(got, invalid_)) return false;
      }
      return false;
]])
  # Its words: an index beyond the last word's is none.
  patch(lm/vocab.hh
[[      return lookup_.Find(detail::HashForVocab(str), i) ? i->value : 0;
    }

    static uint64_t Size(]]
[[      return lookup_.Find(detail::HashForVocab(str), i) && i->value < bound_ ? i->value : 0;
    }

    static uint64_t Size(]])

  # Gzipped files one after another: a loop, since each level of a recursion takes of the stack.
  patch(util/read_compressed.cc
[[          return Current(thunk)->Read(to, amount, thunk);
]]
[[          return 0;
]])
  patch(util/read_compressed.cc
[[  return internal_->Read(to, amount, *this);
]]
[[  for (;;) {
    const ReadBase *reader = internal_.get();
    const std::size_t got = internal_->Read(to, amount, *this);
    if (got || internal_.get() == reader) return got;
  }
]])
endfunction()

# Made once for each content of this file, so that configuring again compiles nothing again; from a
# source that is named, always.
set(source "${KENLM_SOURCE}")
if(NOT source)
  set(source "${folder}/kenlm-${KENLM_VERSION}")
endif()
file(SHA256 "${CMAKE_CURRENT_LIST_FILE}" key)
set(patched "${folder}/patched-${key}")
if(KENLM_SOURCE OR NOT EXISTS "${patched}/done")
  if(NOT KENLM_SOURCE)
    download_kenlm()
  endif()
  file(REMOVE_RECURSE "${patched}")
  file(COPY "${source}/lm" "${source}/util" DESTINATION "${patched}")
  patch_kenlm()
  file(TOUCH "${patched}/done")
endif()

file(GLOB kenlm_sources "${patched}/lm/*.cc" "${patched}/util/*.cc"
     "${patched}/util/double-conversion/*.cc")
list(FILTER kenlm_sources EXCLUDE REGEX "(_main|_test)\\.cc$")

find_package(ZLIB REQUIRED)
add_library(kenlm STATIC ${kenlm_sources})
target_include_directories(kenlm SYSTEM PUBLIC "${patched}")
target_compile_definitions(kenlm PUBLIC NDEBUG KENLM_MAX_ORDER=6 HAVE_ZLIB)
target_compile_options(kenlm PRIVATE -w)
target_link_libraries(kenlm PUBLIC ZLIB::ZLIB)
