"""The output of a fit: nothing, or one progress bar."""

import re

from sk_hypersphere.testing._conditions import has_net, has_nets
from sk_hypersphere.testing._registry import law
from sk_hypersphere.testing._trial import fresh, responses


@law(has_nets)
def nothing_is_printed_by_default(estimator, images, image_labels, capfd):
    responses(fresh(estimator).fit(images, image_labels), images)
    assert capfd.readouterr() == ("", "")


@law(has_net, sets=("verbose",))
def verbose_shows_one_bar_that_reaches_its_end(estimator, images, image_labels, capsys):
    fresh(estimator, verbose=1).fit(images, image_labels)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "loss=" in err
    done, total = re.findall(r"(\d+)/(\d+)", err)[-1]
    assert done == total != "0"
