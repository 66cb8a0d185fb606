"""What a plugin prints does not get into the protocol's stream."""

import shutil
import subprocess

import pytest

from asking import ends_well
from daemon import ROOT


LOUD_PLUGIN = r"""
#include "espalier_plugin.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void shout(const char *text) {
  puts(text);
  fflush(stdout);
  if (write(1, "Content-Length: 2\r\n\r\n{}", 24) < 0) return;
}

__attribute__((constructor)) static void begin(void) { shout("loading aloud"); }

static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                     float *scores, espalier_message *message) {
  (void)host, (void)parameters, (void)message;
  shout("scoring aloud");
  for (int64_t i = 0; i < matrix->rows * matrix->columns; i++) scores[i] = (float)i;
  return ESPALIER_OK;
}

static const espalier_selector selector = {
  .struct_size = sizeof selector, .default_group = ESPALIER_GROUP_MATRIX, .score = score,
};

static const void *get_extension(const char *id) { return strcmp(id, ESPALIER_SELECTOR) == 0 ? &selector : NULL; }

const espalier_plugin_descriptor espalier_plugin = {
  .struct_size = sizeof espalier_plugin, .abi_major = ESPALIER_ABI_MAJOR, .abi_minor = ESPALIER_ABI_MINOR,
  .id = "loud", .version = "1.0.0", .summary = "Counts, aloud", .licence = "Apache-2.0",
  .get_extension = get_extension,
};
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_what_a_plugin_prints_is_no_answer(daemon, tmp_path):
    """Standard output belongs to the protocol, whatever C code writes to it. Any third party's plugin will do."""
    (tmp_path / "loud.c").write_text(LOUD_PLUGIN)
    library = tmp_path / "loud.so"
    flags = ["-std=c11", "-shared", "-fPIC", "-I", ROOT / "protocol"]
    subprocess.run(["cc", *flags, "-o", library, tmp_path / "loud.c"], check=True)
    assert daemon.call("plugin/load", {"path": str(library)})["plugin"] == "loud"
    daemon.call("model/load", {"source": "builtin:sapling"})
    scores = daemon.call("importance/score", {"model": "sapling", "plugin": "loud", "modules": ["*.q_proj.*"]})
    assert [tensor["maximum"] for tensor in scores["tensors"]] == 6 * [192 * 192 - 1]
    ends_well(daemon)
    for words in (b"loading aloud", b"scoring aloud"):
        assert words in daemon.stderr
