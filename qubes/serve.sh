#!/bin/sh
# SPDX-License-Identifier: ISC
# The body of qstore.Store, qstore.Fetch and qstore.Transfer: by which of these
# names it was called, by whom and for which folder, qrexec says in the
# environment.  Nothing is printed before the greeting.
exec qstore serve --qrexec
