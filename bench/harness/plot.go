package harness

import (
	"fmt"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// draw writes an SVG for each curve. Points are powers of ten apart, so that axis is logarithmic;
// the other begins at zero, because what matters is whether a curve is flat.
func (e *env) draw(curves []curve, dir string) error {
	for _, c := range curves {
		if len(c.points) < 2 {
			continue
		}
		p := plot.New()
		p.Title.Text = c.title
		p.X.Label.Text = c.what
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Legend.Top = true
		if err := plotutil.AddLinePoints(p, us.String(), c.line(c.ours), them.String(), c.line(c.theirs)); err != nil {
			return fmt.Errorf("%s: %w", c.file, err)
		}
		p.Y.Min = 0
		const width, height = 7 * vg.Inch, 4 * vg.Inch
		if err := p.Save(width, height, filepath.Join(dir, c.file)); err != nil {
			return fmt.Errorf("%s: %w", c.file, err)
		}
	}
	return nil
}

func (c curve) line(ys []float64) plotter.XYs {
	out := make(plotter.XYs, len(c.points))
	for i, n := range c.points {
		out[i] = plotter.XY{X: float64(n), Y: ys[i]}
	}
	return out
}
